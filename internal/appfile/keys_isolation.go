// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	gpuWhy    = "reserved, and paid for, whole and by number, of drivers nvidia and amd; a provider that has no price for them refuses"
	gpuRemedy = "for all of them, for a device_id or for options: count: 1; for another driver or capability: x-apocryph.resources"
)

// isolationRules are the keys that would weaken, or need, a hold on the machine.
func isolationRules() []Rule {
	const remedy = "remove it: the app runs beside others on somebody else's machine"
	const default_ = "remove it: containers already have their own"
	return []Rule{
		{Key: "services.*.privileged", Verdict: Refused, Why: "containers have no rights over the machine", Remedy: remedy},
		{Key: "services.*.cap_add", Verdict: Accepted, Why: "the container has it already", When: "anything but CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, NET_BIND_SERVICE, SETGID and SETUID", Refuses: anyItem(isForeignCapability), Remedy: "remove it, and run a program that needs no more than an ordinary user can do"},
		{Key: "services.*.cap_drop", Verdict: Accepted, Why: "every container has CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, NET_BIND_SERVICE, SETGID and SETUID, and nothing else"},
		{Key: "services.*.security_opt", Verdict: Accepted, Why: "privileges can't be gained, and the runtime's default seccomp profile is on", When: "anything but no-new-privileges",
			Refuses: anyItem(isUnsafeOption), Remedy: remedy},
		{Key: "services.*.devices", Verdict: Refused, Why: "the machine's devices are not given out", Remedy: remedy},
		{Key: "services.*.device_cgroup_rules", Verdict: Refused, Why: "the machine's devices are not given out", Remedy: remedy},
		{Key: "services.*.gpus", Verdict: Honoured, Why: gpuWhy, Remedy: gpuRemedy},
		{Key: "services.*.network_mode", Verdict: Honoured, Why: "bridge and default are what every app has; with none nothing is reached but DNS, and nobody reaches the service", When: "anything but bridge, default or none", Refuses: isNot("bridge", "default", "none"),
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
		{Key: "services.*.ulimits", Verdict: Accepted, Why: "the provider's limits hold, which are no lower"},
		{Key: "services.*.ulimits.nofile", Verdict: Accepted, Why: "the provider's limits hold, which are no lower", When: "more than 1048576", Refuses: isLimitAbove(1 << 20), Remedy: "remove it, or ask for no more than that"},
		{Key: "services.*.ulimits.memlock", Verdict: Accepted, Why: "the provider's limits hold, which are no lower", When: "more than 65536", Refuses: isLimitAbove(64 << 10), Remedy: "remove it, or ask for no more than that"},
		{Key: "services.*.ulimits.stack", Verdict: Accepted, Why: "the provider's limits hold, which are no lower", When: "more than 8388608", Refuses: isLimitAbove(8 << 20), Remedy: "remove it, or ask for no more than that"},
		{Key: "services.*.ulimits.rtprio", Verdict: Accepted, Why: "the provider's limits hold, which are no lower", When: "more than 0", Refuses: isLimitAbove(0), Remedy: "remove it, or ask for no more than that"},
		{Key: "services.*.ulimits.msgqueue", Verdict: Accepted, Why: "the provider's limits hold, which are no lower", When: "more than 819200", Refuses: isLimitAbove(819200), Remedy: "remove it, or ask for no more than that"},
		{Key: "services.*.group_add", Verdict: Honoured, Why: "groups by number, or by a name that the image's /etc/group has"},
		{Key: "services.*.umask", Verdict: Refused, Why: "it can't be set from outside", Remedy: "set it in the program or its entrypoint"},
		{Key: "services.*.storage_opt", Verdict: Refused, Why: "the provider's storage has none", Remedy: "state the size: x-apocryph: {ephemeral: 2GiB}"},
		{Key: "services.*.mac_address", Verdict: Refused, Why: "addresses are given by the provider", Remedy: "remove it"},
		{Key: "services.*.dns", Verdict: Refused, Why: "names are resolved by the provider", Remedy: "remove it"},
		{Key: "services.*.dns_opt", Verdict: Refused, Why: "names are resolved by the provider", Remedy: "remove it"},
		{Key: "services.*.dns_search", Verdict: Refused, Why: "names are resolved by the provider", Remedy: "use full names"},
		{Key: "services.*.extra_hosts", Verdict: Honoured, Why: "names for addresses; host-gateway has no effect, for there is no such machine"},
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
		{Key: "services.*.mem_reservation", Verdict: Honoured, Why: "what is reserved is no less, where there is no limit"},
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
		{Key: "services.*.deploy.mode", Verdict: Accepted, Usual: isSet, Why: "there are as many replicas as deploy.replicas says", When: "anything but replicated or global", Refuses: isNot("replicated", "global"), Remedy: "remove it, or write the service as one that runs once: restart: \"no\""},
		{Key: "services.*.deploy.replicas", Verdict: Honoured, Why: copiesWhy, Remedy: copiesRemedy},
		{Key: "services.*.deploy.endpoint_mode", Verdict: Accepted, Why: "services reach each other by name"},
		{Key: "services.*.deploy.labels", Verdict: Accepted, Why: "nothing reads them at the provider"},
		{Key: "services.*.deploy.placement", Verdict: Accepted, Why: "the provider places services"},
		{Key: "services.*.deploy.resources.limits.cpus", Verdict: Honoured, Why: "reserved, and the limit; thousandths, rounded up"},
		{Key: "services.*.deploy.resources.limits.memory", Verdict: Honoured, Why: "reserved, and the limit"},
		{Key: "services.*.deploy.resources.limits.pids", Verdict: Accepted, Why: "the provider's limit holds"},
		{Key: "services.*.deploy.resources.reservations.cpus", Verdict: Honoured, Why: "used as the limit where there is none"},
		{Key: "services.*.deploy.resources.reservations.memory", Verdict: Honoured, Why: "what is reserved is no less, where there is no limit"},
		{Key: "services.*.deploy.resources.reservations.devices", Verdict: Honoured, Why: gpuWhy, Remedy: gpuRemedy},
		{Key: "services.*.deploy.resources.reservations.generic_resources", Verdict: Refused, Why: "their names are not known at the provider", Remedy: otherHint},
		{Key: "services.*.deploy.restart_policy", Verdict: Honoured, Why: "as restart, and before it"},
		{Key: "services.*.deploy.restart_policy.delay", Verdict: Accepted, Why: "waiting grows with each failure"},
		{Key: "services.*.deploy.restart_policy.window", Verdict: Accepted, Why: "waiting grows with each failure"},
		{Key: "services.*.deploy.restart_policy.condition", Verdict: Honoured, Why: "none, on-failure or any"},
		{Key: "services.*.deploy.rollback_config", Verdict: Accepted, Why: "a new version that does not come up is taken back by itself, without steps between"},
		{Key: "services.*.deploy.update_config", Verdict: Accepted, Why: "a new version starts beside the old one, or after it if they share a volume; if it does not come up, the old one serves on or is back"},
	}
}

func volumeRules() []Rule {
	return []Rule{
		{Key: "volumes.*.name", Verdict: Accepted, Why: "volumes belong to the app and are named within it"},
		{Key: "volumes.*.driver", Verdict: Accepted, Usual: isSet, Why: "the provider chooses the driver", When: "anything but local", Refuses: isNot("local"), Remedy: "remove it"},
		{Key: "volumes.*.driver_opts", Verdict: Refused, Why: "what they name is on another machine", Remedy: "remove it: a new volume is made"},
		{Key: "volumes.*.external", Verdict: Accepted, Why: "a new volume is made: nothing of the one on this machine is sent"},
		{Key: "volumes.*.labels", Verdict: Accepted, Why: "nothing reads them at the provider"},
	}
}

func networkRules() []Rule {
	const given = "addresses are given by the provider"
	return []Rule{
		{Key: "networks", Verdict: Honoured, Why: "services reach each other only where they have a network in common; those that name none share one"},
		{Key: "networks.*.name", Verdict: Accepted, Why: "networks belong to the app"},
		{Key: "networks.*.external", Verdict: Accepted, Why: "it is a network of this app's alone: other apps are reached by their URLs, and http comes in by itself"},
		{Key: "networks.*.internal", Verdict: Honoured, Why: "services that are on internal networks only reach nothing outside of the app"},
		{Key: "networks.*.attachable", Verdict: Accepted, Why: "only the app's services are on it"},
		{Key: "networks.*.enable_ipv4", Verdict: Accepted, Why: given},
		{Key: "networks.*.enable_ipv6", Verdict: Accepted, Why: given},
		{Key: "networks.*.labels", Verdict: Accepted, Why: "nothing reads them at the provider"},
		{Key: "networks.*.ipam", Verdict: Accepted, Why: given},
		{Key: "networks.*.driver_opts", Verdict: Accepted, Why: "the provider's network has none"},
		{Key: "networks.*.driver", Verdict: Accepted, Usual: isOneOf("bridge"), Why: "the provider chooses the driver", When: "host, none, macvlan or ipvlan", Refuses: isOneOf("host", "none", "macvlan", "ipvlan"), Remedy: "remove it"},
		{Key: "services.*.networks", Verdict: Honoured, Why: "the networks that the service is on"},
		{Key: "services.*.networks.*.aliases", Verdict: Honoured, Why: "further names of the service, on all its networks"},
		{Key: "services.*.networks.*.use_service_name_alias", Verdict: Accepted, Why: "a service always has its own name"},
		{Key: "services.*.networks.*.ipv4_address", Verdict: Refused, Why: given, Remedy: "use service names instead of addresses"},
		{Key: "services.*.networks.*.ipv6_address", Verdict: Refused, Why: given, Remedy: "use service names instead of addresses"},
		{Key: "services.*.networks.*.link_local_ips", Verdict: Refused, Why: given, Remedy: "use service names instead of addresses"},
		{Key: "services.*.networks.*.mac_address", Verdict: Refused, Why: given, Remedy: "remove it"},
		{Key: "services.*.networks.*.driver_opts", Verdict: Accepted, Why: "the provider's network has none"},
		{Key: "services.*.networks.*.priority", Verdict: Accepted, Why: "all networks are reached the same way"},
		{Key: "services.*.networks.*.gw_priority", Verdict: Accepted, Why: "all networks are reached the same way"},
		{Key: "services.*.networks.*.interface_name", Verdict: Accepted, Why: "the provider names interfaces"},
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

// isForeignCapability reports whether a container does not have a capability anyway.
func isForeignCapability(v string) bool {
	have := []string{"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"}
	return !slices.Contains(have, strings.TrimPrefix(strings.ToUpper(v), "CAP_"))
}

// isLimitAbove picks limits, as one number or as soft and hard ones, that are above most or unlimited.
func isLimitAbove(most int64) func(any) bool {
	above := func(v any) bool {
		var n int64
		_, err := fmt.Sscan(fmt.Sprint(v), &n)
		return err != nil || n > most || n < 0
	}
	return func(v any) bool {
		if m, ok := v.(map[string]any); ok {
			return slices.ContainsFunc(slices.Collect(maps.Values(m)), above)
		}
		return above(v)
	}
}
