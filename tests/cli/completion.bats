#!/usr/bin/env bats
# `nacre completion`: what bash offers, and that the others' are scripts.

setup()
{
	local top
	top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	export PATH=$top/build:$PATH NACRE_RUNTIME_DIR=$BATS_TEST_TMPDIR/run
	mkdir -p "$NACRE_RUNTIME_DIR"/{web-one,web-two,other}
	cd "$BATS_TEST_TMPDIR"
	mkdir folder
	touch file "with blank"
	nacre completion bash >completion
}

# offers WORD...: what bash offers for the last word, a line each, sorted.
offers()
{
	bash --norc -c '
		. ./completion
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_nacre 2>/dev/null
		printf "%s\n" "${COMPREPLY[@]}" | sort' bash "$@"
}

@test "commands" {
	[[ $(offers nacre e) == exec ]]
	[[ $(offers nacre "" | wc -l) -ge 12 ]]
	# All that there are, in its own words.
	while read -r command; do
		offers nacre "" | grep -qx -- "$command"
	done < <(nacre --help | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p')
}

@test "options, those of the command alone" {
	[[ $(offers nacre exec --det) == $'--detach\n--detach-keys' ]]
	offers nacre run -- | grep -qx -- --machine
	[[ $(offers nacre exec --) != *--machine* ]]
	for command in run exec cp ps logs build-image; do
		while read -r option; do
			offers nacre "$command" - | grep -qx -- "$option"
		done < <(nacre "$command" --help | grep -E '^ {2,8}-' | grep -oE -- '--[a-z][a-z-]*')
	done
}

@test "what an option takes" {
	[[ $(offers nacre run --io "") == $'calls\nsessions\nstreams' ]]
	[[ $(offers nacre run --io = st) == streams ]]
	[[ $(offers nacre build-image --kind e) == $'erofs\next4' ]]
	[[ $(offers nacre run --kernel fi) == file ]]
	[[ $(offers nacre exec -w "fo") == folder ]]
	[[ $(offers nacre run --name "") == "" ]]
}

@test "containers are those of the run directory" {
	[[ $(offers nacre exec web) == $'web-one\nweb-two' ]]
	[[ $(offers nacre stop "" | wc -l) -eq 3 ]]
	[[ $(offers nacre cp web-t) == web-two: ]]
	rmdir "$NACRE_RUNTIME_DIR"/*
	[[ $(offers nacre exec "") == "" ]]
}

@test "files" {
	[[ $(offers nacre run "with") == "with blank" ]]
	[[ $(offers nacre cp fil) == file ]]
}

@test "each shell's is a script of that shell" {
	bash -n completion
	nacre completion zsh >zsh
	[[ $(head -n 1 zsh) == "#compdef nacre" ]]
	bash -n zsh
	nacre completion fish >fish
	[[ $(grep -c '^complete -c nacre' fish) -gt 50 ]]
	if command -v zsh >/dev/null; then zsh -n zsh; fi
	if command -v fish >/dev/null; then fish -n fish; fi
	run nacre completion tcsh
	[[ $status -eq 125 && $output == *"bash, zsh or fish"* ]]
}
