// SPDX-License-Identifier: Apache-2.0

package appfile

// Verdict is what becomes of a key.
type Verdict string

// The verdicts.
const (
	// Honoured keys do what the Compose specification says.
	Honoured Verdict = "honoured"
	// Accepted keys have no effect; a note says why that does no harm.
	Accepted Verdict = "accepted"
	// Refused keys keep a file from being deployed, unless they are empty or false.
	Refused Verdict = "refused"
)

// Rule is what becomes of one key and everything below it that has no rule of its own.
type Rule struct {
	// Key is the dotted path; * stands for any name.
	Key     string
	Verdict Verdict
	// Why says how the key is honoured, why it has no effect, or why it is refused.
	Why string
	// Remedy is for Refused keys and for values that Refuses.
	Remedy string
	// Refuses, where set, picks the values of an otherwise honoured or accepted key that are refused; When describes them.
	Refuses func(value any) bool
	When    string
	// Usual, where set, picks the values of an accepted key that ask for what is done anyway.
	Usual func(value any) bool
}

// Rules is the table of all keys, the single source for the check and for docs/guide/compose.md.
func Rules() []Rule {
	var all []Rule
	for _, group := range [][]Rule{fileRules(), serviceRules(), isolationRules(), deployRules(), volumeRules(), networkRules(), ownRules()} {
		all = append(all, group...)
	}
	return all
}

func fileRules() []Rule {
	return []Rule{
		{Key: "version", Verdict: Accepted, Usual: isSet, Why: "the Compose specification no longer uses it"},
		{Key: "name", Verdict: Honoured, Why: "the app's name, unless --name is given"},
		{Key: "include", Verdict: Honoured, Why: "the files named are read and merged, with their own directories and env files; this file wins"},
		{Key: "services", Verdict: Honoured, Why: "each is one container that the others reach by the service's name; where no host can have it (my_db), one that can is written (my-db) wherever it is said as a host's"},
		{Key: "jobs", Verdict: Refused, Why: "what runs at certain times has no place yet", Remedy: "write what runs once as a service with restart: \"no\""},
		{Key: "models", Verdict: Refused, Why: "there is no model runner", Remedy: "run the model in a service of your own"},
		{Key: "secrets", Verdict: Honoured, Why: "files of at most 128KiB, from file or environment; their content leaves this machine only to an enclave whose evidence was verified"},
		{Key: "secrets.*.file", Verdict: Honoured, Why: "read here, wherever it lies, as Compose does"},
		{Key: "secrets.*.external", Verdict: Refused, Why: "there is no store of secrets", Remedy: "write file: FILE or environment: NAME"},
		{Key: "secrets.*.name", Verdict: Accepted, Why: "secrets belong to the app"},
		{Key: "secrets.*.labels", Verdict: Accepted, Why: "nothing reads them at the provider"},
		{Key: "secrets.*.driver", Verdict: Refused, Why: "there is no store of secrets", Remedy: "write file: FILE or environment: NAME"},
		{Key: "secrets.*.driver_opts", Verdict: Refused, Why: "there is no store of secrets", Remedy: "remove it"},
		{Key: "secrets.*.template_driver", Verdict: Refused, Why: "nothing fills templates in", Remedy: "write the content itself"},
		{Key: "configs", Verdict: Honoured, Why: "files of at most 128KiB, from file, content or environment"},
		{Key: "configs.*.file", Verdict: Honoured, Why: "read here, wherever it lies, as Compose does"},
		{Key: "configs.*.external", Verdict: Refused, Why: "there is no store of configs", Remedy: "write file: FILE, content: or environment: NAME"},
		{Key: "configs.*.name", Verdict: Accepted, Why: "configs belong to the app"},
		{Key: "configs.*.labels", Verdict: Accepted, Why: "nothing reads them at the provider"},
		{Key: "configs.*.template_driver", Verdict: Refused, Why: "nothing fills templates in", Remedy: "write the content itself"},
	}
}

const (
	copiesWhy    = "replicas are services NAME-1, NAME-2 and so on, each with what the service has; all answer to NAME, in turn"
	copiesRemedy = "of the service that answers http there is one: remove it there; for 0 give the service a profile that nobody names"
)

func serviceRules() []Rule {
	return []Rule{
		{Key: "services.*.image", Verdict: Honoured, Why: "pinned to the digest of its linux/amd64 image at deploy"},
		{Key: "services.*.build", Verdict: Accepted, Why: "nothing is built: the image named beside it is used"},
		{Key: "services.*.command", Verdict: Honoured, Why: "replaces the image's command; an empty one clears it"},
		{Key: "services.*.entrypoint", Verdict: Honoured, Why: "replaces the image's entrypoint and command; an empty one clears the entrypoint"},
		{Key: "services.*.environment", Verdict: Honoured, Why: "a name without a value takes it from this shell, and is left out where that has none"},
		{Key: "services.*.env_file", Verdict: Honoured, Why: "read here, wherever it lies, as Compose does; environment wins over it"},
		{Key: "services.*.ports", Verdict: Honoured, Why: "one published TCP port answers http at the app's URL, whatever its published number; all are open to the app's other services only"},
		{Key: "services.*.ports.[].host_ip", Verdict: Honoured, Why: "a port bound to a loopback address counts as not published, unless no other may answer http"},
		{Key: "services.*.ports.[].published", Verdict: Honoured, Why: "says that the port is published; its number has no effect"},
		{Key: "services.*.ports.[].mode", Verdict: Honoured, Why: "there is one way in, whatever it says"},
		{Key: "services.*.ports.[].name", Verdict: Accepted, Why: "ports are known by number"},
		{Key: "services.*.ports.[].app_protocol", Verdict: Accepted, Why: "http is what is answered"},
		{Key: "services.*.expose", Verdict: Honoured, Why: "open to the app's other services, as are the ports that the image exposes"},
		{Key: "services.*.volumes", Verdict: Honoured, Why: "named volumes; one without a name is given one, of the service and the path"},
		{Key: "services.*.volumes.[].type", Verdict: Honoured, Why: "volume, bind and tmpfs", When: "npipe, cluster or image", Refuses: isOneOf("npipe", "cluster"), Remedy: "write a named volume"},
		{Key: "services.*.volumes.[].consistency", Verdict: Accepted, Why: "it is for desktops"},
		{Key: "services.*.volumes.[].bind", Verdict: Honoured, Why: "a file, or a directory with :ro, is sent and mounted read-only; a directory that is missing or empty becomes a volume; /etc/localtime, /etc/timezone and /dev/urandom are left out; sockets, devices and other paths of the machine are refused"},
		{Key: "services.*.volumes.[].bind.propagation", Verdict: Accepted, Why: "nothing is mounted below it later"},
		{Key: "services.*.volumes.[].bind.selinux", Verdict: Accepted, Why: "the provider labels what it mounts"},
		{Key: "services.*.volumes.[].bind.recursive", Verdict: Accepted, Why: "nothing is mounted below it"},
		{Key: "services.*.volumes.[].tmpfs", Verdict: Honoured, Why: "a directory in memory, which counts as the service's; 64MiB without size"},
		{Key: "services.*.volumes.[].tmpfs.mode", Verdict: Accepted, Why: "every user can write to it"},
		{Key: "services.*.volumes.[].image", Verdict: Refused, Why: "images can't be mounted", Remedy: "copy the files into the service's image"},
		{Key: "services.*.volumes.[].volume.nocopy", Verdict: Honoured, Why: "without it a new volume begins with the image's content at that path"},
		{Key: "services.*.volumes.[].volume.labels", Verdict: Accepted, Why: "nothing reads them at the provider"},
		{Key: "services.*.volumes.[].volume.subpath", Verdict: Honoured, Why: "that directory of the volume is mounted"},
		{Key: "services.*.user", Verdict: Honoured, Why: "as USER or USER:GROUP, in numbers or by names that the image's /etc/passwd and /etc/group have; without it the image's own"},
		{Key: "services.*.working_dir", Verdict: Honoured, Why: "the directory that the program starts in"},
		{Key: "services.*.read_only", Verdict: Honoured, Why: "the root file system can't be written"},
		{Key: "services.*.stop_grace_period", Verdict: Honoured, Why: "in whole seconds, rounded up, 1 s to 1 h; without it 10 s"},
		{Key: "services.*.stop_signal", Verdict: Honoured, Why: "where it is the image's own STOPSIGNAL, which is SIGTERM if it says nothing", Remedy: "another signal is refused at deploy: remove it, or build the image with that STOPSIGNAL"},
		{Key: "services.*.restart", Verdict: Honoured, Why: "no, always, unless-stopped, on-failure[:N]. Without it a service is always started again, as servers are, unless another waits for it to complete: then it runs once. on-failure of what is plainly a server is always"},
		{Key: "services.*.depends_on", Verdict: Honoured, Why: "services start in that order"},
		{Key: "services.*.depends_on.*.restart", Verdict: Accepted, Why: "services find each other again by name"},
		{Key: "services.*.depends_on.*.condition", Verdict: Honoured, Why: "service_started, service_healthy, service_completed_successfully"},
		{Key: "services.*.depends_on.*.required", Verdict: Honoured, Why: "with false, a service that no profile selects is not waited for"},
		{Key: "services.*.healthcheck", Verdict: Honoured, Why: "says when a service is ready; interval 30s, timeout 30s, retries 3 where nothing is said; without it the image's own is used"},
		{Key: "services.*.healthcheck.start_interval", Verdict: Accepted, Why: "until a check first passes it is made every interval, and every 5 s at least"},
		{Key: "services.*.healthcheck.start_period", Verdict: Honoured, Why: "checks that fail before one has passed never count, however long that takes"},
		{Key: "services.*.scale", Verdict: Honoured, Why: copiesWhy, Remedy: copiesRemedy},
		{Key: "services.*.profiles", Verdict: Honoured, Why: "services with profiles run when one is named by --profile or COMPOSE_PROFILES"},
		{Key: "services.*.extends", Verdict: Honoured, Why: "of a service in the same file or another"},
		{Key: "services.*.extends.file", Verdict: Honoured, Why: "read here; paths in it mean its own directory"},
		{Key: "services.*.platform", Verdict: Accepted, Usual: isSet, Why: "linux/amd64 is what providers run", When: "anything but linux/amd64",
			Refuses: isNot("linux/amd64", "linux", "linux/x86_64"), Remedy: "use an image for linux/amd64"},
		{Key: "services.*.pull_policy", Verdict: Accepted, Usual: isSet, Why: "images are pinned by digest"},
		{Key: "services.*.pull_refresh_after", Verdict: Accepted, Why: "images are pinned by digest"},
		{Key: "services.*.container_name", Verdict: Honoured, Why: "others reach the service by it too, where one of them, or a file that is mounted, says it"},
		{Key: "services.*.hostname", Verdict: Honoured, Why: "what the service calls itself; a name with dots or underscores has no effect"},
		{Key: "services.*.domainname", Verdict: Accepted, Why: "the provider names hosts"},
		{Key: "services.*.labels", Verdict: Accepted, Why: "nothing reads them at the provider"},
		{Key: "services.*.label_file", Verdict: Accepted, Why: "nothing reads labels at the provider"},
		{Key: "services.*.annotations", Verdict: Accepted, Why: "nothing reads them at the provider"},
		{Key: "services.*.logging", Verdict: Accepted, Why: "logs are read with apocryph logs"},
		{Key: "services.*.attach", Verdict: Accepted, Why: "logs are read with apocryph logs"},
		{Key: "services.*.tty", Verdict: Accepted, Usual: isSet, Why: "there is no terminal"},
		{Key: "services.*.stdin_open", Verdict: Accepted, Usual: isSet, Why: "standard input is empty"},
		{Key: "services.*.init", Verdict: Honoured, Why: "orphaned processes are reaped"},
		{Key: "services.*.develop", Verdict: Accepted, Why: "it is for development"},
		{Key: "services.*.links", Verdict: Honoured, Why: "the alias becomes a name of the other service"},
		{Key: "services.*.external_links", Verdict: Refused, Why: "nothing outside the app is reached by a Compose name", Remedy: "use its address in environment"},
		{Key: "services.*.provider", Verdict: Refused, Why: "only containers run", Remedy: "use a service with an image"},
		{Key: "services.*.models", Verdict: Refused, Why: "there is no model runner", Remedy: "run the model in a service of your own"},
		{Key: "services.*.pre_start", Verdict: Refused, Why: "hooks can't run yet", Remedy: "run it at the start of the service's own command"},
		{Key: "services.*.post_start", Verdict: Refused, Why: "hooks can't run yet", Remedy: "run it from the service's own command"},
		{Key: "services.*.pre_stop", Verdict: Refused, Why: "hooks can't run yet", Remedy: "let the program do it at SIGTERM"},
		{Key: "services.*.secrets", Verdict: Honoured, Why: "mounted at /run/secrets/NAME or target, mode 0444 if nothing is said"},
		{Key: "services.*.secrets.[].uid", Verdict: Accepted, Why: "the file belongs to root; mode says who may read it"},
		{Key: "services.*.secrets.[].gid", Verdict: Accepted, Why: "the file belongs to root; mode says who may read it"},
		{Key: "services.*.configs", Verdict: Honoured, Why: "mounted at /NAME or target, mode 0444 if nothing is said"},
		{Key: "services.*.configs.[].uid", Verdict: Accepted, Why: "the file belongs to root; mode says who may read it"},
		{Key: "services.*.configs.[].gid", Verdict: Accepted, Why: "the file belongs to root; mode says who may read it"},
		{Key: "services.*.tmpfs", Verdict: Honoured, Why: "directories in memory, which count as the service's; 64MiB without size="},
		{Key: "services.*.shm_size", Verdict: Honoured, Why: "size of /dev/shm, which counts as the service's memory"},
		{Key: "services.*.volumes_from", Verdict: Refused, Why: "volumes are mounted by name", Remedy: "list the volumes under volumes"},
		{Key: "services.*.volume_driver", Verdict: Refused, Why: "the provider chooses the driver", Remedy: "remove it"},
	}
}

// ownRules are the keys that Compose does not have.
func ownRules() []Rule {
	return []Rule{
		{Key: "x-apocryph.http.service", Verdict: Honoured, Why: "the service that answers http at the app's URL"},
		{Key: "x-apocryph.http.port", Verdict: Honoured, Why: "the container's port it answers at; without it the only one that it publishes or exposes here"},
		{Key: "x-apocryph.http.host", Verdict: Honoured, Why: "a DNS label below the provider's domain; without it one is made from the app's name and id"},
		{Key: "x-apocryph.egress", Verdict: Honoured, Why: "how much may leave the provider's cluster per second, on average, as in 1MiB: the channel's cap has room for it; without it for 256KiB"},
		{Key: "x-apocryph.notify", Verdict: Honoured, Why: "an https URL that the provider tells what becomes of the app, or a mapping with webhook"},
		{Key: "x-apocryph.notify.webhook", Verdict: Honoured, Why: "the same, written out"},
		{Key: "services.*.x-apocryph.resources.*", Verdict: Honoured, Why: "how many pieces of an extended resource the service has, by the name that Kubernetes and the provider's price list have for it"},
		{Key: "services.*.x-apocryph.ephemeral", Verdict: Honoured, Why: "size of the container's writable root file system, as in 2GiB"},
		{Key: "volumes.*.x-apocryph.size", Verdict: Honoured, Why: "size of the volume, as in 10GiB"},
	}
}
