// SPDX-License-Identifier: Apache-2.0

package appfile

import "strings"

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
		{Key: "version", Verdict: Accepted, Why: "the Compose specification no longer uses it"},
		{Key: "name", Verdict: Honoured, Why: "the app's name, unless --name is given"},
		{Key: "include", Verdict: Refused, Why: "an app file is one file", Remedy: "copy the included services into this file"},
		{Key: "services", Verdict: Honoured, Why: "each is one container that the others reach by the service's name"},
		{Key: "jobs", Verdict: Refused, Why: "what runs once has no place yet", Remedy: "run the job from a service of your own, or remove it"},
		{Key: "models", Verdict: Refused, Why: "there is no model runner", Remedy: "run the model in a service of your own"},
		{Key: "secrets", Verdict: Refused, Why: "secrets are not delivered as files yet", Remedy: "use environment: values leave this machine only to an enclave whose evidence was verified"},
		{Key: "configs", Verdict: Refused, Why: "configs are not delivered as files yet", Remedy: "put the file into the image, or pass its content by environment"},
	}
}

func serviceRules() []Rule {
	return []Rule{
		{Key: "services.*.image", Verdict: Honoured, Why: "pinned to the digest of its linux/amd64 image at deploy"},
		{Key: "services.*.build", Verdict: Accepted, Why: "nothing is built: the image named beside it is used"},
		{Key: "services.*.command", Verdict: Honoured, Why: "replaces the image's command", When: "an empty one",
			Refuses: isEmptyList, Remedy: "write the whole entrypoint instead: an empty command can't clear the image's own"},
		{Key: "services.*.entrypoint", Verdict: Honoured, Why: "replaces the image's entrypoint and command", When: "an empty one",
			Refuses: isEmptyList, Remedy: "write the program to run: an empty entrypoint can't clear the image's own"},
		{Key: "services.*.environment", Verdict: Honoured, Why: "a name without a value takes it from this shell, and is left out where that has none"},
		{Key: "services.*.env_file", Verdict: Honoured, Why: "read here; environment wins over it"},
		{Key: "services.*.ports", Verdict: Honoured, Why: "the one published TCP port answers http at the app's URL, whatever its published number; of several, x-apocryph.http says which; ports bound to a loopback address count as not published; all are open to the app's other services"},
		{Key: "services.*.expose", Verdict: Honoured, Why: "open to the app's other services, as are the ports that the image exposes"},
		{Key: "services.*.volumes", Verdict: Honoured, Why: "named volumes only; see x-apocryph for their size"},
		{Key: "services.*.volumes.[].consistency", Verdict: Accepted, Why: "it is for desktops"},
		{Key: "services.*.volumes.[].bind", Verdict: Refused, Why: "the provider's machine has none of your files", Remedy: "use a named volume, or put the files into the image"},
		{Key: "services.*.volumes.[].tmpfs", Verdict: Refused, Why: "memory file systems can't be made yet", Remedy: "use a named volume, or write below / which is empty at every start"},
		{Key: "services.*.volumes.[].image", Verdict: Refused, Why: "images can't be mounted", Remedy: "copy the files into the service's image"},
		{Key: "services.*.volumes.[].volume.nocopy", Verdict: Accepted, Why: "nothing is copied into a new volume"},
		{Key: "services.*.volumes.[].volume.subpath", Verdict: Refused, Why: "a volume is mounted whole", Remedy: "use a volume for each path"},
		{Key: "services.*.user", Verdict: Honoured, Why: "as UID or UID:GID, or root", Remedy: "write numbers: the names are known only inside the image"},
		{Key: "services.*.working_dir", Verdict: Honoured, Why: "the directory that the program starts in"},
		{Key: "services.*.read_only", Verdict: Honoured, Why: "the root file system can't be written"},
		{Key: "services.*.stop_grace_period", Verdict: Honoured, Why: "in whole seconds, rounded up, 1 s to 1 h; without it 10 s"},
		{Key: "services.*.stop_signal", Verdict: Accepted, Why: "SIGTERM is what is sent", When: "anything but SIGTERM",
			Refuses: isNot("SIGTERM", "TERM", "15"), Remedy: "remove it and let the program end at SIGTERM"},
		{Key: "services.*.restart", Verdict: Accepted, Why: "services are always restarted", When: "\"no\"", Refuses: isOneOf("no"),
			Remedy: "remove the service if it is to run once: what ends is started again"},
		{Key: "services.*.depends_on", Verdict: Accepted, Why: "all services start together, and one that ends because another does not answer yet is started again"},
		{Key: "services.*.depends_on.*.condition", Verdict: Accepted, Why: "all services start together, and one that ends because another does not answer yet is started again",
			When: "service_completed_successfully", Refuses: isOneOf("service_completed_successfully"), Remedy: "do that work at the start of this service: nothing runs only once"},
		{Key: "services.*.healthcheck", Verdict: Accepted, Why: "a service is ready when its container runs"},
		{Key: "services.*.scale", Verdict: Accepted, Why: "each service runs once", When: "anything but 1", Refuses: isNot("1"), Remedy: "remove it or set it to 1"},
		{Key: "services.*.profiles", Verdict: Honoured, Why: "services with profiles are left out, as with docker compose up"},
		{Key: "services.*.extends", Verdict: Honoured, Why: "of a service in the same file"},
		{Key: "services.*.extends.file", Verdict: Refused, Why: "an app file is one file", Remedy: "copy the service into this file"},
		{Key: "services.*.platform", Verdict: Accepted, Why: "linux/amd64 is what providers run", When: "anything but linux/amd64",
			Refuses: isNot("linux/amd64", "linux", "linux/x86_64"), Remedy: "use an image for linux/amd64"},
		{Key: "services.*.pull_policy", Verdict: Accepted, Why: "images are pinned by digest"},
		{Key: "services.*.pull_refresh_after", Verdict: Accepted, Why: "images are pinned by digest"},
		{Key: "services.*.container_name", Verdict: Accepted, Why: "containers are named by the provider; other services use the service's name"},
		{Key: "services.*.hostname", Verdict: Accepted, Why: "the provider names hosts; other services use the service's name"},
		{Key: "services.*.domainname", Verdict: Accepted, Why: "the provider names hosts"},
		{Key: "services.*.labels", Verdict: Accepted, Why: "nothing reads them at the provider"},
		{Key: "services.*.label_file", Verdict: Accepted, Why: "nothing reads labels at the provider"},
		{Key: "services.*.annotations", Verdict: Accepted, Why: "nothing reads them at the provider"},
		{Key: "services.*.logging", Verdict: Accepted, Why: "logs are read with apocryph logs"},
		{Key: "services.*.attach", Verdict: Accepted, Why: "logs are read with apocryph logs"},
		{Key: "services.*.tty", Verdict: Accepted, Why: "there is no terminal"},
		{Key: "services.*.stdin_open", Verdict: Accepted, Why: "standard input is empty"},
		{Key: "services.*.init", Verdict: Accepted, Why: "no init process is added: the program reaps its own children"},
		{Key: "services.*.develop", Verdict: Accepted, Why: "it is for development"},
		{Key: "services.*.links", Verdict: Accepted, Why: "services reach each other by name anyway", When: "a link with an alias", Refuses: anyItem(hasLinkAlias),
			Remedy: "use the service's own name instead of the alias"},
		{Key: "services.*.external_links", Verdict: Refused, Why: "nothing outside the app is reached by a Compose name", Remedy: "use its address in environment"},
		{Key: "services.*.provider", Verdict: Refused, Why: "only containers run", Remedy: "use a service with an image"},
		{Key: "services.*.models", Verdict: Refused, Why: "there is no model runner", Remedy: "run the model in a service of your own"},
		{Key: "services.*.pre_start", Verdict: Refused, Why: "hooks can't run yet", Remedy: "run it at the start of the service's own command"},
		{Key: "services.*.post_start", Verdict: Refused, Why: "hooks can't run yet", Remedy: "run it from the service's own command"},
		{Key: "services.*.pre_stop", Verdict: Refused, Why: "hooks can't run yet", Remedy: "let the program do it at SIGTERM"},
		{Key: "services.*.secrets", Verdict: Refused, Why: "secrets are not delivered as files yet", Remedy: "use environment: values leave this machine only to an enclave whose evidence was verified"},
		{Key: "services.*.configs", Verdict: Refused, Why: "configs are not delivered as files yet", Remedy: "put the file into the image, or pass its content by environment"},
		{Key: "services.*.tmpfs", Verdict: Refused, Why: "memory file systems can't be made yet", Remedy: "remove it: the root file system can be written and is empty at every start"},
		{Key: "services.*.shm_size", Verdict: Refused, Why: "/dev/shm has the size that the provider gives it", Remedy: "remove it, and let the program use less shared memory"},
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
		{Key: "services.*.x-apocryph.ephemeral", Verdict: Honoured, Why: "size of the container's writable root file system, as in 2GiB"},
		{Key: "volumes.*.x-apocryph.size", Verdict: Honoured, Why: "size of the volume, as in 10GiB"},
	}
}

func isEmptyList(v any) bool {
	switch v := v.(type) {
	case []any:
		return len(v) == 0
	case string:
		return strings.TrimSpace(v) == ""
	}
	return false
}

func hasLinkAlias(v string) bool {
	service, alias, found := strings.Cut(v, ":")
	return found && alias != service
}
