# nacre: the guest agent, the host programs, the guest's kernel and image.
#
# `make help` lists the targets. Everything made is below build/ (build/ARCH/ for a foreign ARCH=); what takes long is
# kept in ${XDG_CACHE_HOME:-~/.cache}/nacre by scripts/build-*, keyed by version and configuration.

SHELL := /bin/bash
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.PRECIOUS: build/proto/%.proto
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

NATIVE := $(shell uname -m)
ARCH ?= $(NATIVE)
B := $(if $(filter $(NATIVE),$(ARCH)),build,build/$(ARCH))
GEN := build/gen
V ?=
Q := $(if $(V),,@)

# Debian's cross compilers.
CROSS_aarch64 := aarch64-linux-gnu-
CROSS_riscv64 := riscv64-linux-gnu-
CROSS_ppc64le := powerpc64le-linux-gnu-
CROSS_s390x := s390x-linux-gnu-
CROSS_x86_64 := x86_64-linux-gnu-
CROSS_COMPILE ?= $(if $(filter $(NATIVE),$(ARCH)),,$(CROSS_$(ARCH)))

ifeq ($(origin CC),default)
CC := $(CROSS_COMPILE)gcc
endif
HOST_CC ?= gcc
# Debian's own, which has kconfiglib: another may come first in PATH.
PYTHON := /usr/bin/python3
STRIP := $(CROSS_COMPILE)strip
AR := $(CROSS_COMPILE)ar
IS_CLANG := $(findstring clang,$(notdir $(firstword $(CC))))

# ---- Configuration -----------------------------------------------------------------------------------------------

NO_CONFIG := help clean distclean defconfig tinyconfig menuconfig
ifneq ($(filter-out $(NO_CONFIG),$(or $(MAKECMDGOALS),all)),)
-include .config
endif

# No .config yet: the defaults. A changed Kconfig: the values stay, new options get their defaults.
.config: Kconfig kernel-config/Kconfig
	$(Q)$(PYTHON) -m $(if $(wildcard .config),olddefconfig,alldefconfig) >/dev/null
	$(Q)touch $@

defconfig: ## the default configuration, in .config
	$(Q)$(PYTHON) -m alldefconfig

tinyconfig: ## only what `nacre run` needs
	$(Q)$(PYTHON) -m allnoconfig

menuconfig: ## choose in a terminal
	$(Q)$(PYTHON) -m menuconfig

# config.h changes only when its text does, so that a choice for the kernel doesn't compile the agent again; that is
# more than rules can say, so it is done while this file is read.
ifneq ($(wildcard .config),)
$(shell [ -e $(GEN)/config.h ] && [ $(GEN)/config.stamp -nt .config ] || { mkdir -p $(GEN) && \
	$(PYTHON) -m genconfig --header-path $(GEN)/config.h >&2 && touch $(GEN)/config.stamp; })
endif

# ---- Flags -------------------------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Werror -Wmissing-prototypes -Wstrict-prototypes
# gnu11 defines `linux`, which the OCI messages have as a field.
INCLUDES := -I. -I$(GEN) -D_GNU_SOURCE -Ulinux -include $(GEN)/config.h

# clang 14 has zeroing only behind a flag.
AUTO_INIT := -ftrivial-auto-var-init=zero
ifdef IS_CLANG
# musl's CMSG_NXTHDR compares signed with unsigned, which gcc forgives in system headers.
WARNINGS += -Wno-sign-compare
AUTO_INIT += -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang
endif

# No _FORTIFY_SOURCE here: it works through checking variants in the C library's headers, and musl has none.
HARDENING := -fPIE -fstack-protector-strong -fstack-clash-protection $(AUTO_INIT)
SIZE := -Os -ffunction-sections -fdata-sections -fno-unwind-tables -fno-asynchronous-unwind-tables
CFLAGS := -std=gnu11 -g $(SIZE) $(HARDENING) -ffile-prefix-map=$(CURDIR)=. $(EXTRA_CFLAGS)
LDFLAGS := -Wl,--gc-sections -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--build-id=sha1
# lib/start.c: makes relro true, and relocates from packed tables, which musl 1.2.3 can't (50 KB of the agent).
LDFLAGS += -Wl,--undefined=start_protect
ifeq ($(ARCH),x86_64)
LDFLAGS += -Wl,--entry=start_relocated -Wl,-z,pack-relative-relocs
endif
ifdef IS_CLANG
# -nostdinc, where musl-cc links.
LDFLAGS += -Wno-unused-command-line-argument
endif

# The musl sysroot with the guest's C libraries. Its path changes with the versions; objects follow the stamp.
SYSROOT_STAMP := $(B)/sysroot.stamp
SYSROOT = $(shell cat $(SYSROOT_STAMP) 2>/dev/null)
MUSL_CC = NACRE_CC="$(CC)" $(SYSROOT)/bin/musl-cc
# No place of the cache in debugging information, and so in build ids. Behind CFLAGS: the last one that fits is taken, and
# the cache's path may begin with this folder's.
SYSROOT_MAP = -ffile-prefix-map=$(SYSROOT)=sysroot

ifeq ($(wildcard $(shell cat $(SYSROOT_STAMP) 2>/dev/null)/complete),)
$(shell rm -f $(SYSROOT_STAMP))
endif

$(SYSROOT_STAMP): scripts/build-sysroot scripts/fetch-source scripts/musl-cc.in
	$(Q)mkdir -p $(@D)
	$(Q)scripts/build-sysroot $(ARCH) >$@.new && mv $@.new $@

# Another compiler or other flags: everything again.
FLAGS_TEXT := $(CC) $(CFLAGS) $(LDFLAGS) $(WARNINGS) $(value SYSROOT_MAP)
FLAGS_STAMP := $(B)/flags.stamp
ifneq ($(shell cat $(FLAGS_STAMP) 2>/dev/null),$(FLAGS_TEXT))
$(shell mkdir -p $(B) && echo '$(FLAGS_TEXT)' >$(FLAGS_STAMP))
endif

# ---- Sources -----------------------------------------------------------------------------------------------------

sources = $(sort $(wildcard $(foreach folder,$1,$(folder)/*.c $(folder)/*/*.c)))
objects = $(patsubst %.c,$(B)/obj/%.o,$1)

PROTOS := $(notdir $(wildcard proto/*.proto))
SERVICES := $(patsubst proto/%.proto,%_service.proto,$(shell grep -l '^service ' proto/*.proto))
GEN_SOURCES := $(PROTOS:%.proto=$(GEN)/%.pb-c.c) $(SERVICES:%.proto=$(GEN)/%.pb-c.c) $(GEN)/google/protobuf/empty.pb-c.c
GEN_HEADERS := $(GEN_SOURCES:.c=.h) $(GEN)/config.h $(GEN)/proxy_syscalls.h
GEN_OBJECTS := $(patsubst $(GEN)/%.c,$(B)/obj/gen/%.o,$(GEN_SOURCES))

LIB_OBJECTS := $(call objects,$(call sources,lib))
# The one or the other, by configuration.
LEFT_OUT := agent/container/$(if $(CONFIG_SECCOMP),seccomp_none.c,seccomp.c)
AGENT_OBJECTS := $(call objects,$(filter-out $(LEFT_OUT),$(call sources,init agent)))
PROXY_OBJECTS := $(call objects,$(call sources,proxy))
RUNTIME_OBJECTS := $(call objects,$(call sources,runtime oci))
# The container code of the agent, with a command line for an OCI runtime's tests around it.
BOX_OBJECTS := $(call objects,$(filter-out $(LEFT_OUT),$(wildcard agent/container/*.c)) $(call sources,box oci) runtime/signal_name.c runtime/terminal.c)

# protoc-c 1.4 refuses the `optional` of proto3: copies without the word are compiled. Messages need no names at run time:
# without them the agent is 24 KB smaller. Services are found by their names, so each is a file of its own.
build/proto/%_service.proto: proto/%.proto Makefile
	$(Q)mkdir -p $(@D)
	$(Q)sed -E '/^(message|enum) /,/^}/d' $< >$@
	$(Q)echo 'import "$*.proto";' >>$@

.SECONDARY: $(SERVICES:%=build/proto/%)

build/proto/%.proto: proto/%.proto Makefile
	$(Q)mkdir -p $(@D)
	$(Q)sed -E 's/^([[:space:]]*)optional /\1/; /^service /,/^}/d; /^import "google.protobuf.empty/d' $< >$@
	$(Q)echo 'option optimize_for = CODE_SIZE;' >>$@

$(GEN)/%.pb-c.c $(GEN)/%.pb-c.h &: build/proto/%.proto | $(PROTOS:%=build/proto/%) $(SERVICES:%=build/proto/%)
	@echo "  PROTOC   $*.proto"
	$(Q)mkdir -p $(GEN)
	$(Q)protoc-c -Ibuild/proto -I/usr/include --c_out=$(GEN) $*.proto 2>$(GEN)/$*.log || { cat $(GEN)/$*.log; exit 1; }

$(GEN)/google/protobuf/empty.pb-c.c $(GEN)/google/protobuf/empty.pb-c.h &: /usr/include/google/protobuf/empty.proto
	@echo "  PROTOC   google/protobuf/empty.proto"
	$(Q)mkdir -p $(GEN)
	$(Q)protoc-c -I/usr/include --c_out=$(GEN) google/protobuf/empty.proto

gen: $(GEN_SOURCES) $(GEN_HEADERS) ## the generated protobuf code and config.h, in build/gen

# What the proxy's sources say of the system calls that they make: all that its filter lets through.
$(GEN)/proxy_syscalls.h: scripts/gather-syscalls $(wildcard proxy/*.c lib/*.c)
	$(Q)mkdir -p $(@D)
	$(Q)scripts/gather-syscalls $(filter %.c,$^) >$@.new
	$(Q)cmp -s $@.new $@ && rm $@.new || mv $@.new $@

# The proxy moves the data, and what it shares with the agent of that: for speed; everything else for size.
$(patsubst %,$(B)/obj/%.o,proxy/guest_memory proxy/vhost_vsock proxy/virtqueue lib/vsock_engine lib/vsock_send lib/vsock_socket): CFLAGS += -O2

define compile
@echo "  CC       $<"
$(Q)mkdir -p $(@D)
$(Q)$(MUSL_CC) $(CFLAGS) $(SYSROOT_MAP) $(WARNINGS) $(INCLUDES) -MMD -MP -c -o $@ $<
endef

$(B)/obj/%.o: %.c $(SYSROOT_STAMP) $(FLAGS_STAMP) | $(GEN_HEADERS)
	$(compile)

$(B)/obj/gen/%.o: $(GEN)/%.c $(SYSROOT_STAMP) $(FLAGS_STAMP) | $(GEN_HEADERS)
	$(compile)

# ---- Programs ----------------------------------------------------------------------------------------------------

define archive
@echo "  AR       $@"
$(Q)rm -f $@ && $(AR) rcsD $@ $^
endef

$(B)/libnacre.a: $(LIB_OBJECTS) $(GEN_OBJECTS)
	$(archive)

# The proxy without its main(): the runtime uses its client code.
$(B)/libproxy.a: $(filter-out %/main.o,$(PROXY_OBJECTS))
	$(archive)

# The unstripped program stays beside the stripped one, as NAME.debug, and NAME.map tells what was linked.
define link
@echo "  LINK     $@"
$(Q)$(MUSL_CC) $(CFLAGS) $(SYSROOT_MAP) $(LDFLAGS) -Wl,-Map=$@.map -o $@.debug $^ $(LIBS)
$(Q)$(STRIP) --strip-all -R .comment -o $@ $@.debug
endef

$(B)/nacre-agent: $(AGENT_OBJECTS) $(B)/libnacre.a
	$(link)

$(B)/nacre-proxy: $(B)/obj/proxy/main.o $(B)/libproxy.a $(B)/libnacre.a
	$(link)

$(B)/nacre: $(RUNTIME_OBJECTS) $(B)/libproxy.a $(B)/libnacre.a
	$(link)

$(B)/nacre-box: $(BOX_OBJECTS) $(B)/libnacre.a
	$(link)

$(B)/nacre-agent: LIBS := $(if $(CONFIG_SECCOMP),-lseccomp) -lcap-ng -lprotobuf-c
$(B)/nacre-proxy: LIBS := -lseccomp -ljansson -lprotobuf-c
$(B)/nacre: LIBS := -lseccomp -lpopt -ljansson -lprotobuf-c -larchive -lzstd -llzma -lz -lmd
$(B)/nacre-box: LIBS := $(if $(CONFIG_SECCOMP),-lseccomp) -lcap-ng -lpopt -ljansson -lprotobuf-c

# What a container's life costs, by the bare system calls and by the agent: runs in a guest.
$(B)/life: $(call objects,$(wildcard tests/bench/life*.c) agent/container/device_filter.c agent/container/cgroup.c agent/container/cgroup_create.c) $(B)/libnacre.a
	$(link)
$(B)/life: LIBS := -lprotobuf-c

# What a vsock device costs: a guest below one, without a VMM.
$(B)/vsock: $(call objects,$(wildcard tests/bench/vsock*.c)) $(B)/libnacre.a
	$(link)

# For tests on the host: refuses AF_VSOCK and reboot(2) to what it runs.
build/guarded: tests/guarded.c
	@echo "  HOSTCC   $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(HOST_CC) -std=gnu11 -O2 -Wall -Wextra -Werror -o $@ $< -lseccomp

agent: $(B)/nacre-agent ## build/nacre-agent alone
programs: $(B)/nacre-agent $(B)/nacre-proxy $(B)/nacre build/guarded ## agent, proxy, nacre
nacre-box: $(B)/nacre-box ## the container code as an OCI runtime, for tests
all: programs kernel image ## programs, kernel and image (the default)

# ---- Kernel and image --------------------------------------------------------------------------------------------

# One fragment a capability: CONFIG_KERNEL_NAME chooses kernel-config/name.config for both profiles, CONFIG_KERNEL_FULL_NAME
# for the full one alone.
KERNEL_OPTIONS := $(foreach option,$(filter CONFIG_KERNEL_%,$(.VARIABLES)),$(if $(filter y,$($(option))),$(option:CONFIG_KERNEL_%=%)))
fragments = $(sort $(patsubst %,kernel-config/%.config,base virtio arch-$(ARCH) profile-$1 $(shell echo '$2' | tr A-Z_ a-z-)))

KERNELS := $(B)/vmlinuz-microvm $(B)/vmlinuz-full

kernel: $(KERNELS) $(KERNELS:%=%.spdx) ## the guest kernels, build/vmlinuz-PROFILE, and build/modules-full

define kernel_profile
$(B)/vmlinuz-$1: scripts/build-kernel $2 .config
	$$(Q)scripts/build-kernel $(ARCH) $$@ $2
endef
$(eval $(call kernel_profile,microvm,$(call fragments,microvm,$(filter-out FULL_%,$(KERNEL_OPTIONS)))))
$(eval $(call kernel_profile,full,$(call fragments,full,$(patsubst FULL_%,%,$(KERNEL_OPTIONS)))))

image: $(B)/initramfs.cpio ## the guest image that `nacre run` boots, build/initramfs.cpio

IMAGES := $(B)/initramfs.cpio $(B)/initramfs-full.cpio \
	$(foreach kind,erofs ext4,$(foreach variant,microvm full,$(B)/image-$(variant).$(kind)))

images: $(IMAGES) ## all guest images: initramfs, erofs, ext4, each as microvm and full

# Each program that an image takes, with a NAME.sources.json that says what it was made of.
BUSYBOXES := $(foreach name,image container full,$(B)/busybox-$(name))

$(BUSYBOXES): $(B)/busybox-%: scripts/build-busybox rootfs/busybox-%.config $(SYSROOT_STAMP)
	$(Q)scripts/build-busybox $(ARCH) rootfs/busybox-$*.config $@

TOOLS := $(addprefix $(B)/tools/,mke2fs e2fsck resize2fs xtables-legacy-multi cdi-yaml)
$(B)/tools/mke2fs $(B)/tools/e2fsck $(B)/tools/resize2fs &: scripts/build-tool $(SYSROOT_STAMP)
	$(Q)scripts/build-tool $(ARCH) e2fsprogs $(@D)

$(B)/tools/xtables-legacy-multi: scripts/build-tool $(SYSROOT_STAMP)
	$(Q)scripts/build-tool $(ARCH) iptables $(@D)

$(B)/tools/cdi-yaml: scripts/build-tool rootfs/cdi-yaml/cdi-yaml.c $(SYSROOT_STAMP)
	$(Q)scripts/build-tool $(ARCH) libyaml $(@D)

tools: $(TOOLS) ## what the full image has besides, build/tools

$(BUSYBOXES:%=%.sources.json) $(TOOLS:%=%.sources.json): %.sources.json: % scripts/describe-sources
	$(Q)scripts/describe-sources $@ $(OWN) --sources $*.sources

$(B)/tools/cdi-yaml.sources.json: OWN := --nacre

$(B)/nacre-agent.sources.json: $(B)/nacre-agent scripts/describe-sources
	$(Q)scripts/describe-sources $@ --nacre --map $<.map $(SYSROOT)

$(KERNELS:%=%.sources.json): %.sources.json: % scripts/describe-sources
	$(Q)scripts/describe-sources $@ linux-source-6.1

# A kernel's own list, as images have them.
$(KERNELS:%=%.spdx): %.spdx: % %.sources.json scripts/describe-kernel rootfs/imagebuilder/spdx.py
	$(Q)scripts/describe-kernel $< $@

$(B)/modules-full.sources.json: $(B)/vmlinuz-full.sources.json
	$(Q)cp $< $@

# rootfs/build-image is what `nacre build-image` starts: there is one builder.
IMAGE_PARTS := $(B)/nacre-agent $(if $(CONFIG_IMAGE_BUSYBOX),$(B)/busybox-image)
FULL_PARTS := $(B)/nacre-agent $(if $(CONFIG_IMAGE_BUSYBOX),$(B)/busybox-full) $(TOOLS)
# Made along with the kernel: build/modules-full.
MODULES := $(if $(CONFIG_KERNEL_FULL_MODULES),$(B)/vmlinuz-full $(B)/modules-full.sources.json)
IMAGE_BUILDER := rootfs/build-image $(wildcard rootfs/imagebuilder/*.py rootfs/etc/*) rootfs/image.list .config

define build_image
@echo "  IMAGE    $@"
$(Q)rootfs/build-image --parts $(B) --variant $1 --kind $2 $3 $(if $(CONFIG_IMAGE_BUSYBOX),,--set busybox=n) -o $@
endef

$(B)/initramfs.cpio: $(IMAGE_PARTS) $(IMAGE_PARTS:%=%.sources.json) $(IMAGE_BUILDER)
	$(call build_image,microvm,cpio)

$(B)/image-microvm.erofs: $(IMAGE_PARTS) $(IMAGE_PARTS:%=%.sources.json) $(IMAGE_BUILDER)
	$(call build_image,microvm,erofs,--verity)

$(B)/image-microvm.ext4: $(IMAGE_PARTS) $(IMAGE_PARTS:%=%.sources.json) $(IMAGE_BUILDER)
	$(call build_image,microvm,ext4)

$(B)/initramfs-full.cpio: $(FULL_PARTS) $(FULL_PARTS:%=%.sources.json) $(MODULES) $(IMAGE_BUILDER)
	$(call build_image,full,cpio)

$(B)/image-full.erofs: $(FULL_PARTS) $(FULL_PARTS:%=%.sources.json) $(MODULES) $(IMAGE_BUILDER)
	$(call build_image,full,erofs,--verity)

$(B)/image-full.ext4: $(FULL_PARTS) $(FULL_PARTS:%=%.sources.json) $(MODULES) $(IMAGE_BUILDER)
	$(call build_image,full,ext4)

# For Kata Containers: docs/kata.md.
KATA_IMAGES := $(B)/kata-containers.img $(B)/kata-containers-initrd.img

kata-image: $(KATA_IMAGES) ## for Kata Containers' runtimes: build/kata-containers.img and kata-containers-initrd.img

$(B)/kata-containers.img: $(FULL_PARTS) $(FULL_PARTS:%=%.sources.json) $(MODULES) $(IMAGE_BUILDER)
	$(call build_image,full,kata)

$(B)/kata-containers-initrd.img: $(FULL_PARTS) $(FULL_PARTS:%=%.sources.json) $(MODULES) $(IMAGE_BUILDER)
	$(call build_image,full,cpio,--set kata=y)

rootfs: $(B)/rootfs-busybox/.complete ## a container's root file system to try things with, build/rootfs-busybox

$(B)/rootfs-busybox/.complete: rootfs/make-container-root $(B)/busybox-container
	@echo "  ROOTFS   $(@D)"
	$(Q)rootfs/make-container-root $(B)/busybox-container $(@D)
	$(Q)touch $@

# ---- Tests -------------------------------------------------------------------------------------------------------

# A unit test names the objects that it is linked with: `// uses: lib/loop.c agent/container/plan.c`, or a folder's (`proxy/*.c`),
# but for what only a program has. glibc, as the sanitizers need it.
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
TEST_CFLAGS := -std=gnu11 -g -O1 $(SANITIZE) -Wall -Wextra -Werror
TEST_LIBS := -lcmocka -lprotobuf-c -lseccomp -lcap-ng -ljansson -lpopt -larchive -lmd
UNIT_TESTS := $(patsubst tests/unit/%.c,build/tests/%,$(wildcard tests/unit/*_test.c))
TEST_GEN_OBJECTS := $(patsubst $(GEN)/%.c,build/san/gen/%.o,$(GEN_SOURCES))

define compile_test
@echo "  HOSTCC   $<"
$(Q)mkdir -p $(@D)
$(Q)$(HOST_CC) $(TEST_CFLAGS) $(INCLUDES) -MMD -MP -c -o $@ $<
endef

build/san/%.o: %.c | $(GEN_HEADERS)
	$(compile_test)

build/san/gen/%.o: $(GEN)/%.c | $(GEN_HEADERS)
	$(compile_test)

build/san/libgen.a: $(TEST_GEN_OBJECTS)
	$(Q)rm -f $@ && ar rcsD $@ $^

uses = $(filter-out %/main.c lib/start.c,$(wildcard $(shell sed -n 's|^// uses:||p' $1)))
define unit_test
build/tests/$1: build/san/tests/unit/$1.o $$(patsubst %.c,build/san/%.o,$$(call uses,tests/unit/$1.c)) build/san/libgen.a
	@echo "  LINK     $$@"
	$$(Q)mkdir -p $$(@D)
	$$(Q)$(HOST_CC) $(SANITIZE) -o $$@ $$^ $(TEST_LIBS)
endef
$(foreach test,$(notdir $(UNIT_TESTS)),$(eval $(call unit_test,$(test))))

# The tests' client of the agent: Go, with containerd's ttrpc. It reads the messages from descriptors.
build/agentctl: $(wildcard tests/interop/*.go tests/interop/go.* tests/interop/*.sh) build/agentctl.desc
	@echo "  GO       $@"
	$(Q)cd tests/interop && go build -trimpath -o $(CURDIR)/$@ .
	$(Q)touch $@

build/agentctl.desc: $(wildcard proto/*.proto)
	@echo "  PROTOC   $@"
	$(Q)mkdir -p $(@D)
	$(Q)protoc -Iproto -I/usr/include --include_imports --descriptor_set_out=$@ $(notdir $^)

# Prometheus' parser and checker of metrics.
build/promlint: $(wildcard tests/promlint/*)
	@echo "  GO       $@"
	$(Q)cd tests/promlint && go build -trimpath -o $(CURDIR)/$@ .
	$(Q)touch $@

# What attacks do from inside of a container (tests/attacks/).
ATTACKS := $(patsubst tests/attacks/%.c,build/attacks/%,$(wildcard tests/attacks/*.c))

build/attacks/%: tests/attacks/%.c $(SYSROOT_STAMP)
	@echo "  CC       $<"
	$(Q)mkdir -p $(@D)
	$(Q)$(MUSL_CC) -std=gnu11 -Os -s -D_GNU_SOURCE $(WARNINGS) -o $@ $<

build/vsock_check: tests/boot/vsock_check.c $(SYSROOT_STAMP)
	@echo "  CC       $<"
	$(Q)$(MUSL_CC) -std=gnu11 -Os -s -D_GNU_SOURCE $(WARNINGS) -o $@ $<

test-programs: build/guarded build/agentctl build/promlint build/vsock_check $(ATTACKS) $(B)/nacre-box $(B)/life $(B)/vsock unit-tests ## what the tests need beside the programs

unit-tests: $(UNIT_TESTS) ## the unit tests, in build/tests

# The programs themselves, for glibc too: lib/start.c is for a static program and musl.
SANITIZED := $(addprefix build/san/,nacre-agent nacre-proxy nacre)
sanitized = $(patsubst %.c,build/san/%.o,$(filter-out lib/start.c $(LEFT_OUT),$(call sources,lib $1)))

build/san/nacre-agent: $(call sanitized,init agent) build/san/libgen.a
build/san/nacre-proxy: $(call sanitized,proxy) build/san/libgen.a
build/san/nacre: $(call sanitized,runtime oci) $(filter-out %/main.o,$(call sanitized,proxy)) build/san/libgen.a

$(SANITIZED):
	@echo "  LINK     $@"
	$(Q)$(HOST_CC) $(SANITIZE) -o $@ $^ $(TEST_LIBS)

sanitize: unit-tests $(SANITIZED) ## agent, proxy and nacre with ASan and UBSan, in build/san, and the unit tests, which always are

# Fuzz targets: tests/fuzz/fuzz.h. clang's, as libFuzzer is; a target is linked with what it uses of an archive of everything.
FUZZ_CC ?= clang
FUZZ_CFLAGS := -std=gnu11 -g -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer -Wall -Wextra -Werror
FUZZ_TARGETS := $(patsubst tests/fuzz/%_fuzz.c,build/fuzz/%,$(wildcard tests/fuzz/*_fuzz.c))
FUZZ_SHARED := $(patsubst %.c,build/fuzz/obj/%.o,$(filter-out %_fuzz.c,$(wildcard tests/fuzz/*.c)))
FUZZ_OBJECTS := $(patsubst %.c,build/fuzz/obj/%.o,$(filter-out lib/start.c %/main.c $(LEFT_OUT),$(call sources,lib init agent proxy)) agent/main.c \
	$(addprefix runtime/,log_format.c metrics_text.c quantity.c stats.c)) \
	$(patsubst $(GEN)/%.c,build/fuzz/obj/gen/%.o,$(GEN_SOURCES))

define compile_fuzz
@echo "  FUZZCC   $<"
$(Q)mkdir -p $(@D)
$(Q)$(FUZZ_CC) $(FUZZ_CFLAGS) $(INCLUDES) -MMD -MP -c -o $@ $<
endef

build/fuzz/obj/%.o: %.c | $(GEN_HEADERS)
	$(compile_fuzz)

build/fuzz/obj/gen/%.o: $(GEN)/%.c | $(GEN_HEADERS)
	$(compile_fuzz)

build/fuzz/libnacre.a: $(FUZZ_OBJECTS)
	$(archive)

# libFuzzer only asks for LLVMFuzzerInitialize() where it is there already: in an archive it would be left out, and with it what
# keeps the real code from changing the machine. So guard.o isn't in one, and a target without it isn't linked.
$(FUZZ_TARGETS): build/fuzz/%: build/fuzz/obj/tests/fuzz/%_fuzz.o $(FUZZ_SHARED) build/fuzz/libnacre.a
	@echo "  LINK     $@"
	$(Q)$(FUZZ_CC) -fsanitize=fuzzer,address,undefined -Wl,--require-defined=LLVMFuzzerInitialize -o $@ $^ $(TEST_LIBS)

build/fuzz/seeds/calls/life-0: tests/fuzz/make-seeds build/agentctl.desc
	$(Q)mkdir -p $(@D)
	$(Q)tests/fuzz/make-seeds build/agentctl.desc $(@D)

fuzz-targets: $(FUZZ_TARGETS) build/fuzz/seeds/calls/life-0 ## the fuzz targets, in build/fuzz

MINUTES ?= 60
fuzz: fuzz-targets build/guarded ## all fuzz targets for MINUTES= together, or one: FUZZ=NAME
	$(Q)build/guarded tests/fuzz/run --seconds $$(($(MINUTES) * 60)) $(FUZZ)

check: ## the quick tests (all of them: scripts/test)
	$(Q)scripts/test --quick

# See tests/interop/run for the ways to give another agent than ours.
interop: programs kernel images rootfs test-programs ## the behaviour that is wanted: AGENT=unix://PATH, PEER_AGENT=FILE or ours
	$(Q)build/guarded tests/interop/run

# Not among scripts/test's suites, as a Kata runtime can't be had from the package registries.
kata-test: programs kernel kata-image rootfs test-programs ## a Kata runtime, KATA_SHIM=FILE, below containerd: docs/kata.md
	$(Q)build/guarded bats --formatter tap tests/kata

bench-agents: programs kernel image rootfs test-programs ## another agent beside ours, in figures: PEER_AGENT=FILE
	$(Q)build/guarded scripts/compare-agents $(PEER_AGENT)

bench-life: $(B)/life nacre-box programs kernel image rootfs build/guarded ## a container's life and an exec: bare system calls, agent, nacre-box, crun
	$(Q)tests/bench/report

bench-vsock: $(B)/nacre-proxy $(B)/vsock build/guarded ## the vsock device without a VM: nacre-proxy, the bare system calls, PEER_VSOCK=FILE
	$(Q)build/guarded tests/bench/vsock-report

test-full: ## all tests, with what takes too long for each change repeated as often as it should be
	$(Q)NACRE_TEST_FULL=1 scripts/test

ALL_SOURCES := $(call sources,lib init agent proxy runtime oci box)

# Each source has a stamp, so that only what has changed is looked at again. gcc 12's analyzer sees one file at a time, and takes
# what another one's function fills for uninitialized and what it refuses for possible; elements of lists are lost to it. Those
# four of its questions are clang-tidy's (.clang-tidy; ERROR_ANALYZED: lib/error.h) and LeakSanitizer's.
LINT_FLAGS = -std=gnu11 $(INCLUDES)
ANALYZER := -O1 -fanalyzer -Wall -Wextra -Werror -Wno-analyzer-malloc-leak -Wno-analyzer-use-of-uninitialized-value \
	-Wno-analyzer-null-dereference -Wno-analyzer-null-argument

build/lint/%.ok: % .clang-tidy | $(GEN_HEADERS)
	@echo "  LINT     $<"
	$(Q)mkdir -p $(@D)
	$(Q)$(HOST_CC) $(LINT_FLAGS) $(ANALYZER) -MMD -MP -MF build/lint/$*.d -MT $@ -c -o /dev/null $<
	$(Q)clang-tidy --quiet $< -- $(LINT_FLAGS) -DERROR_ANALYZED 2>build/lint/$*.log || { cat build/lint/$*.log; false; }
	$(Q)touch $@

# cppcheck takes what cleanup attributes free for leaks, members of a compound literal for variables, and addresses in
# initializers for reads (gcc warns of those that are).
# Not lib/start.c, which runs before there is a C program: its addresses are the linker's.
lint: $(patsubst %,build/lint/%.ok,$(filter-out lib/start.c,$(ALL_SOURCES))) ## gcc -fanalyzer, clang-tidy, cppcheck, shellcheck
	$(Q)shellcheck -x $$(grep -slE '^#!/bin/(ba)?sh' scripts/* rootfs/* packaging/* tests/deb/* tests/fuzz/* tests/interop/run .ci/run)
	$(Q)cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 --enable=warning,portability \
		--suppress=missingIncludeSystem --suppress=memleak --suppress=unknownEvaluationOrder --suppress=uninitvar -I. \
		lib init agent proxy runtime oci box rootfs/cdi-yaml

# ---- The rest ----------------------------------------------------------------------------------------------------

compile_commands.json: $(GEN_HEADERS) $(SYSROOT_STAMP) ## for editors and clangd
	$(Q)include=$$($(CC) -print-file-name=include) && scripts/compile-commands \
		"$(CC) -nostdinc -isystem $(SYSROOT)/include -isystem $$include $(CFLAGS) $(WARNINGS) $(INCLUDES)" \
		$(ALL_SOURCES) >$@

# From the command's own tables, by a program of this machine.
COMPLETIONS := $(foreach shell,bash zsh fish,$(B)/completion/nacre.$(shell))

$(COMPLETIONS): $(B)/completion/nacre.%: $(B)/nacre
	$(Q)mkdir -p $(@D)
	$(Q)$< completion $* >$@.new && mv $@.new $@

INSTALLED := programs kernel images $(COMPLETIONS) $(IMAGE_PARTS:%=%.sources.json) $(FULL_PARTS:%=%.sources.json)

PREFIX ?= /usr/local
install: $(INSTALLED) ## everything, to $(DESTDIR)$(PREFIX)
	packaging/install $(B) $(PREFIX) "$(DESTDIR)"

uninstall: ## what `make install` has put there
	packaging/install --uninstall $(B) $(PREFIX) "$(DESTDIR)"

deb: $(INSTALLED) ## a Debian package, build/nacre_VERSION_ARCHITECTURE.deb
	$(Q)packaging/make-deb $(B) $(ARCH)

clean: ## what was built here (not the cache)
	rm -rf build compile_commands.json

distclean: clean ## and the configuration
	rm -f .config .config.old

help: ## this list
	@echo "Targets:"
	@sed -nE 's/^([a-z_.-]+):.*## (.*)/  \1\t\2/p' Makefile | expand -t 28
	@echo "Variables:"
	@printf '  %s\n' 'ARCH=x86_64|aarch64|riscv64|ppc64le|s390x' 'CC=gcc|clang' 'V=1 (show commands)' \
		'PREFIX=/usr/local' 'DESTDIR='

.PHONY: all programs agent nacre-box gen kernel image images kata-image tools rootfs unit-tests test-programs sanitize \
	fuzz-targets fuzz check interop kata-test bench-agents bench-life bench-vsock test-full lint install uninstall deb clean distclean help \
	defconfig tinyconfig menuconfig

-include $(shell find build -name '*.d' 2>/dev/null)
