#!/usr/bin/env bats
# GetMetrics: figures of agent and guest, for Prometheus. promlint is Prometheus' own parser, with its checker of names and types.

load helpers

setup_file() { agent_start; }
teardown_file() { agent_stop; }

metrics() { agentctl GetMetrics | jq -r .metrics; }

# value SAMPLE: the number of that sample, labels and all.
value()
{
	metrics | awk -v sample="$1" '$1 == sample {print $2}'
}

@test "Prometheus accepts the text, and finds every family in it" {
	run --separate-stderr promlint < <(metrics)
	echo "$output $stderr"
	[[ $status -eq 0 && -z $stderr ]]
	# The guest's kernel keeps no account of what a task reads and writes (agent_io_stat).
	for family in agent_{scrape_count,threads,total_time,total_vm,total_rss,proc_status,proc_stat} \
		guest_{load,tasks,cpu_time,vm_stat,netdev_stat,meminfo}; do
		[[ $output == *"kata_$family "* ]]
	done
}

@test "the agent's own figures are the agent's" {
	[[ $(value kata_agent_threads) -eq 1 ]]
	(($(value kata_agent_total_rss) > 100000 && $(value kata_agent_total_rss) < $(value kata_agent_total_vm)))
	(($(value 'kata_agent_proc_status{item="vmrss"}') * 1024 < $(value kata_agent_total_vm)))
	[[ $place == vm || $(value 'kata_agent_io_stat{item="rchar"}') -gt 0 ]]
	[[ $(value 'kata_agent_proc_stat{item="utime"}') -ge 0 ]]
	local before
	before=$(value kata_agent_scrape_count)
	[[ $(value kata_agent_scrape_count) -eq $((before + 1)) ]]
}

@test "the guest's are those that a container sees as well" {
	local total
	total=$(($(container -- awk '$1 == "MemTotal:" {print $2}' /proc/meminfo) * 1024))
	[[ $(value 'kata_guest_meminfo{item="mem_total"}') -eq $total ]]
	[[ $(value 'kata_guest_meminfo{item="s_reclaimable"}') -gt 0 ]]
	[[ $(value 'kata_guest_meminfo{item="active_anon"}') -ge 0 ]]
	[[ $(value 'kata_guest_cpu_time{cpu="0",item="user"}') -ge 0 ]]
	(($(value 'kata_guest_cpu_time{cpu="total",item="idle"}') > 0))
	[[ $(value 'kata_guest_netdev_stat{interface="lo",item="recv_bytes"}') -ge 0 ]]
	[[ $(value 'kata_guest_vm_stat{item="nr_free_pages"}') -gt 0 ]]
	[[ $(value 'kata_guest_load{item="load15"}') ]]
	[[ $(value 'kata_guest_tasks{item="max"}') -gt 1 ]]
}

@test "a disk is counted" {
	[[ $place == vm ]] || skip "whatever disks this machine has"
	container -- cat /bin/busybox >/dev/null
	[[ $(value 'kata_guest_diskstat{disk="vda",item="sectors_read"}') -gt 0 ]]
}
