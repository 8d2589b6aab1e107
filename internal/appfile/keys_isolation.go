// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"fmt"
	"slices"
	"strings"
)

// isolationRules are the keys that would weaken, or need, a hold on the machine.
func isolationRules() []Rule {
	const remedy = "remove it: the app runs beside others on somebody else's machine"
	const default_ = "remove it: containers already have their own"
	return []Rule{
		{Key: "services.*.privileged", Verdict: Refused, Why: "containers have no rights over the machine", Remedy: remedy},
		{Key: "services.*.cap_add", Verdict: Refused, Why: "capabilities can't be added", Remedy: "remove it, and run a program that needs no more than an ordinary user can do"},
		{Key: "services.*.cap_drop", Verdict: Accepted, Why: "all capabilities but a short list are dropped from every container"},
		{Key: "services.*.security_opt", Verdict: Accepted, Why: "privileges can't be gained, and the runtime's default seccomp profile is on", When: "anything but no-new-privileges",
			Refuses: anyItem(isUnsafeOption), Remedy: remedy},
		{Key: "services.*.devices", Verdict: Refused, Why: "the machine's devices are not given out", Remedy: remedy},
		{Key: "services.*.device_cgroup_rules", Verdict: Refused, Why: "the machine's devices are not given out", Remedy: remedy},
		{Key: "services.*.gpus", Verdict: Refused, Why: "GPUs can't be rented yet", Remedy: "remove it"},
		{Key: "services.*.network_mode", Verdict: Accepted, Why: "every app has its own network", When: "anything but bridge or default", Refuses: isNot("bridge", "default"),
			Remedy: "remove it: services reach each other by name, and the internet"},
		{Key: "services.*.pid", Verdict: Refused, Why: "process namespaces are not shared", Remedy: default_},
		{Key: "services.*.ipc", Verdict: Accepted, Why: "each service has its own IPC namespace", When: "anything but private or none", Refuses: isNot("private", "none"), Remedy: default_},
		{Key: "services.*.uts", Verdict: Refused, Why: "host names are not shared", Remedy: default_},
		{Key: "services.*.userns_mode", Verdict: Refused, Why: "user namespaces are not shared", Remedy: default_},
		{Key: "services.*.cgroup", Verdict: Accepted, Why: "each container has its own cgroup", When: "host", Refuses: isNot("private"), Remedy: default_},
		{Key: "services.*.cgroup_parent", Verdict: Refused, Why: "the provider's machine decides", Remedy: "remove it"},
		{Key: "services.*.isolation", Verdict: Refused, Why: "the provider's machine decides", Remedy: "remove it"},
		{Key: "services.*.runtime", Verdict: Refused, Why: "the provider's machine decides", Remedy: "remove it"},
		{Key: "services.*.use_api_socket", Verdict: Refused, Why: "there is no Docker engine at the provider", Remedy: "remove it"},
		{Key: "services.*.credential_spec", Verdict: Refused, Why: "it is for Windows", Remedy: "remove it"},
		{Key: "services.*.sysctls", Verdict: Refused, Why: "kernel settings belong to the machine", Remedy: "remove it"},
		{Key: "services.*.ulimits", Verdict: Accepted, Why: "the provider's limits hold"},
		{Key: "services.*.group_add", Verdict: Refused, Why: "further groups can't be given yet", Remedy: "use user: UID:GID"},
		{Key: "services.*.umask", Verdict: Refused, Why: "it can't be set from outside", Remedy: "set it in the program or its entrypoint"},
		{Key: "services.*.storage_opt", Verdict: Refused, Why: "the provider's storage has none", Remedy: "state the size: x-apocryph: {ephemeral: 2GiB}"},
		{Key: "services.*.mac_address", Verdict: Refused, Why: "addresses are given by the provider", Remedy: "remove it"},
		{Key: "services.*.dns", Verdict: Refused, Why: "names are resolved by the provider", Remedy: "remove it"},
		{Key: "services.*.dns_opt", Verdict: Refused, Why: "names are resolved by the provider", Remedy: "remove it"},
		{Key: "services.*.dns_search", Verdict: Refused, Why: "names are resolved by the provider", Remedy: "use full names"},
		{Key: "services.*.extra_hosts", Verdict: Refused, Why: "names can't be added", Remedy: "use the address in environment"},
		{Key: "services.*.blkio_config", Verdict: Accepted, Why: "the provider shares out its disks"},
		{Key: "services.*.oom_kill_disable", Verdict: Refused, Why: "memory is what was ordered and no more", Remedy: "remove it, and raise mem_limit if needed"},
		{Key: "services.*.oom_score_adj", Verdict: Accepted, Why: "each container has its own memory limit"},
	}
}

// deployRules are what is reserved and how it is scaled.
func deployRules() []Rule {
	const limits = "use cpus or deploy.resources.limits.cpus"
	return []Rule{
		{Key: "services.*.cpus", Verdict: Honoured, Why: "reserved, and the limit; thousandths, rounded up"},
		{Key: "services.*.mem_limit", Verdict: Honoured, Why: "reserved, and the limit"},
		{Key: "services.*.mem_reservation", Verdict: Honoured, Why: "used as the limit where there is none"},
		{Key: "services.*.memswap_limit", Verdict: Accepted, Why: "there is no swap"},
		{Key: "services.*.mem_swappiness", Verdict: Accepted, Why: "there is no swap"},
		{Key: "services.*.cpu_shares", Verdict: Accepted, Why: "what is reserved is not shared"},
		{Key: "services.*.cpu_count", Verdict: Refused, Why: "it is for Windows", Remedy: limits},
		{Key: "services.*.cpu_percent", Verdict: Refused, Why: "it is for Windows", Remedy: limits},
		{Key: "services.*.cpu_quota", Verdict: Refused, Why: "the machine's scheduler is the provider's", Remedy: limits},
		{Key: "services.*.cpu_period", Verdict: Refused, Why: "the machine's scheduler is the provider's", Remedy: limits},
		{Key: "services.*.cpu_rt_period", Verdict: Refused, Why: "the machine's scheduler is the provider's", Remedy: limits},
		{Key: "services.*.cpu_rt_runtime", Verdict: Refused, Why: "the machine's scheduler is the provider's", Remedy: limits},
		{Key: "services.*.cpuset", Verdict: Refused, Why: "the machine's scheduler is the provider's", Remedy: limits},
		{Key: "services.*.pids_limit", Verdict: Accepted, Why: "the provider's limit holds"},
		{Key: "services.*.deploy.mode", Verdict: Accepted, Why: "each service runs once", When: "anything but replicated", Refuses: isNot("replicated"), Remedy: "remove it"},
		{Key: "services.*.deploy.replicas", Verdict: Accepted, Why: "each service runs once", When: "anything but 1", Refuses: isNot("1"), Remedy: "remove it or set it to 1"},
		{Key: "services.*.deploy.endpoint_mode", Verdict: Accepted, Why: "services reach each other by name"},
		{Key: "services.*.deploy.labels", Verdict: Accepted, Why: "nothing reads them at the provider"},
		{Key: "services.*.deploy.placement", Verdict: Accepted, Why: "the provider places services"},
		{Key: "services.*.deploy.resources.limits.cpus", Verdict: Honoured, Why: "reserved, and the limit; thousandths, rounded up"},
		{Key: "services.*.deploy.resources.limits.memory", Verdict: Honoured, Why: "reserved, and the limit"},
		{Key: "services.*.deploy.resources.limits.pids", Verdict: Accepted, Why: "the provider's limit holds"},
		{Key: "services.*.deploy.resources.reservations.cpus", Verdict: Honoured, Why: "used as the limit where there is none"},
		{Key: "services.*.deploy.resources.reservations.memory", Verdict: Honoured, Why: "used as the limit where there is none"},
		{Key: "services.*.deploy.resources.reservations.devices", Verdict: Refused, Why: "devices can't be rented yet", Remedy: "remove it"},
		{Key: "services.*.deploy.resources.reservations.generic_resources", Verdict: Refused, Why: "there are none", Remedy: "remove it"},
		{Key: "services.*.deploy.restart_policy", Verdict: Accepted, Why: "services are always restarted"},
		{Key: "services.*.deploy.restart_policy.condition", Verdict: Accepted, Why: "services are always restarted", When: "none", Refuses: isOneOf("none"),
			Remedy: "remove the service if it is to run once: what ends is started again"},
		{Key: "services.*.deploy.rollback_config", Verdict: Accepted, Why: "updates are not rolled back by themselves"},
		{Key: "services.*.deploy.update_config", Verdict: Accepted, Why: "the provider replaces a service's container when it is updated"},
	}
}

func volumeRules() []Rule {
	return []Rule{
		{Key: "volumes.*.name", Verdict: Accepted, Why: "volumes belong to the app and are named within it"},
		{Key: "volumes.*.driver", Verdict: Accepted, Why: "the provider chooses the driver", When: "anything but local", Refuses: isNot("local"), Remedy: "remove it"},
		{Key: "volumes.*.driver_opts", Verdict: Refused, Why: "the provider's driver has none", Remedy: "remove it"},
		{Key: "volumes.*.external", Verdict: Refused, Why: "a volume lives and ends with its app", Remedy: "remove external: a new volume is made"},
		{Key: "volumes.*.labels", Verdict: Accepted, Why: "nothing reads them at the provider"},
	}
}

func networkRules() []Rule {
	const one = "all services of an app share one network of its own"
	return []Rule{
		{Key: "networks", Verdict: Accepted, Why: one},
		{Key: "networks.*.external", Verdict: Refused, Why: "apps do not share networks", Remedy: "remove it, and reach the other app by its URL"},
		{Key: "networks.*.internal", Verdict: Refused, Why: "egress can't be closed yet, and a file that asks for it must not get less", Remedy: "remove it if the services may reach the internet"},
		{Key: "networks.*.ipam", Verdict: Refused, Why: "addresses are given by the provider", Remedy: "use service names instead of addresses"},
		{Key: "networks.*.driver_opts", Verdict: Refused, Why: "the provider's network has none", Remedy: "remove it"},
		{Key: "networks.*.driver", Verdict: Accepted, Why: one, When: "host, none, macvlan or ipvlan", Refuses: isOneOf("host", "none", "macvlan", "ipvlan"), Remedy: "remove it"},
		{Key: "services.*.networks", Verdict: Accepted, Why: one},
		{Key: "services.*.networks.*.aliases", Verdict: Refused, Why: "services are reached by their own name only", Remedy: "use the service's name, or name the service so"},
		{Key: "services.*.networks.*.ipv4_address", Verdict: Refused, Why: "addresses are given by the provider", Remedy: "use service names instead of addresses"},
		{Key: "services.*.networks.*.ipv6_address", Verdict: Refused, Why: "addresses are given by the provider", Remedy: "use service names instead of addresses"},
		{Key: "services.*.networks.*.link_local_ips", Verdict: Refused, Why: "addresses are given by the provider", Remedy: "use service names instead of addresses"},
		{Key: "services.*.networks.*.mac_address", Verdict: Refused, Why: "addresses are given by the provider", Remedy: "remove it"},
		{Key: "services.*.networks.*.driver_opts", Verdict: Refused, Why: "the provider's network has none", Remedy: "remove it"},
	}
}

func isOneOf(values ...string) func(any) bool {
	return func(v any) bool { return v != nil && slices.Contains(values, fmt.Sprint(v)) }
}

func isNot(values ...string) func(any) bool {
	return func(v any) bool { return isSet(v) && !slices.Contains(values, fmt.Sprint(v)) || isZeroNumber(v) }
}

func isZeroNumber(v any) bool { return v == 0 || v == int64(0) || v == uint64(0) || v == float64(0) }

func anyItem(f func(string) bool) func(any) bool {
	return func(v any) bool {
		list, _ := v.([]any)
		return slices.ContainsFunc(list, func(item any) bool { return f(fmt.Sprint(item)) })
	}
}

func isUnsafeOption(v string) bool {
	name, value, _ := strings.Cut(strings.ReplaceAll(v, "=", ":"), ":")
	return name != "no-new-privileges" || value == "false"
}

// isSet reports whether a value asks for anything.
func isSet(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != "" && v != "false"
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return !isZeroNumber(v)
}
