// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/internal/doctor/probe"
	"github.com/apocryph/apocryph/internal/evidence"
)

// judgement is a verdict and words that have to be in what was seen.
type judgement struct {
	got  Verdict
	want Result
	says string
}

func (j judgement) check(t *testing.T) {
	t.Helper()
	if j.got.Result != j.want || !strings.Contains(j.got.Saw, j.says) {
		t.Errorf("judged %s (%s), want %s with %q", j.got.Result, j.got.Saw, j.want, j.says)
	}
}

func TestJudgements(t *testing.T) {
	network := func(allowed, egress, ingress string) Verdict {
		return judgeNetwork(networkFacts{near: probe.NetworkReport{Allowed: allowed, EgressDenied: egress, IngressDenied: ingress}})
	}
	now := time.Unix(1_800_000_000, 0)
	counters := func(priced bool, silence ...time.Duration) Verdict {
		f := counterFacts{priced: priced, machines: []string{"m1", "m2"}, looked: map[string]time.Time{}, now: now}
		for i, d := range silence {
			f.looked[f.machines[i]] = now.Add(-d)
		}
		return judgeCounters(f)
	}
	names := func(err string, found ...string) Verdict {
		return judgeNames(nameFacts{probe.NetworkReport{NameError: err, Addresses: found}, "10.96.3.4"})
	}
	users := func(uidMap string) Verdict { return judgeUsers(userFacts{report: probe.SelfReport{UIDMap: uidMap}}) }
	volume := func(size, taken int64, refused bool) Verdict {
		return judgeVolume(volumeFacts{class: "loop", size: size, report: probe.VolumeReport{Taken: taken, Refused: refused, Tried: 96 << 20}})
	}
	tasks := func(r probe.TasksReport) Verdict {
		r.Bound = 100
		return judgeTasks(taskFacts{most: 100, report: r})
	}
	gas := func(balance, fee int64) Verdict {
		return judgeGas(gasFacts{balance: big.NewInt(balance), fee: big.NewInt(fee), claimGas: 100, least: 10, enough: 500})
	}
	tee := func(class evidence.Class) Verdict {
		return judgeTEE(teeFacts{verified: evidence.Verified{Kind: "some", Class: class}})
	}
	for name, j := range map[string]judgement{
		"egress is counted on every machine":                        {counters(true, time.Minute, time.Second), OK, "2 machines"},
		"egress has a price, and a machine has no counter":          {counters(true, time.Minute), Fail, "m2"},
		"egress has a price, and nobody counts it":                  {counters(true), Fail, "m1, m2"},
		"egress has no price, and nobody counts it":                 {counters(false), OK, "no price"},
		"a counter stands still":                                    {counters(true, time.Minute, 3*time.Minute), Fail, "m2 has not looked"},
		"a counter stands still, and egress has no price":           {counters(false, 3*time.Minute, time.Minute), Fail, "m1 has not looked"},
		"both forbidden paths closed, the allowed one open":         {network(probe.OK, "timeout", "timeout"), OK, ""},
		"no policy is enforced":                                     {network(probe.OK, probe.OK, probe.OK), Fail, "out of the sender and into the receiver"},
		"policies of senders are not enforced":                      {network(probe.OK, probe.OK, "timeout"), Fail, "out of the sender"},
		"policies of receivers are not enforced":                    {network(probe.OK, "timeout", probe.OK), Fail, "into the receiver"},
		"nothing comes through at all":                              {network("timeout", "timeout", "timeout"), Fail, "did not come through: timeout"},
		"what is forbidden comes through, what is allowed does not": {network("timeout", probe.OK, "timeout"), Fail, "forbids"},

		"the Service's address":             {names("", "10.96.3.4"), OK, "10.96.3.4"},
		"the Service's address and another": {names("", "fd00::1", "10.96.3.4"), OK, ""},
		"another address":                   {names("", "93.184.216.34"), Fail, "found at 93.184.216.34"},
		"no such name":                      {names("no such host"), Fail, "no such host"},

		"ids are mapped":                        {users("0 4194304 65536"), OK, "4194304"},
		"ids are the machine's":                 {users("0 0 4294967295"), Fail, "machine's own"},
		"a part of the machine's ids, in place": {users("0 0 65536"), Fail, "machine's own"},
		"no map":                                {users(""), Unseen, ""},
		"half a map":                            {users("0 1"), Unseen, ""},
		"the runtime can't":                     {judgeUsers(userFacts{refused: "idmap mounts"}), Fail, "idmap mounts"},

		"a volume full at its size":       {volume(16<<20, 14<<20, true), OK, "14.0 MiB and no more"},
		"full exactly at its size":        {volume(16<<20, 16<<20, true), OK, ""},
		"one that takes more, then stops": {volume(16<<20, 17<<20, true), Fail, "took 17.0 MiB"},
		"one that takes all":              {volume(16<<20, 96<<20, false), Fail, "took 96.0 MiB"},
		"one larger than what was tried":  {volume(1<<30, 96<<20, false), Unseen, "doctor.volumeBytes"},
		"a disk that fails":               {judgeVolume(volumeFacts{size: 1, report: probe.VolumeReport{Error: "EIO"}}), Unseen, "EIO"},
		"no default class":                {judgeVolume(volumeFacts{refused: "no default class"}), Fail, "no default class"},

		"pids.max is small enough":               {tasks(probe.TasksReport{Max: "99"}), OK, "pids.max is 99"},
		"pids.max is too large, and holds":       {tasks(probe.TasksReport{Max: "101", Started: 100}), Fail, "none was refused"},
		"the pod's limit is above the container": {tasks(probe.TasksReport{Max: "max", Started: 57, Limited: true}), OK, "after 57"},
		"no limit":                               {tasks(probe.TasksReport{Max: "max", Started: 100}), Fail, `pids.max "max"`},
		"no limit, and no file either":           {tasks(probe.TasksReport{Started: 100}), Fail, ""},
		"the user's limit is in the way":         {tasks(probe.TasksReport{Max: "max", Started: 57, Limited: true, UserLimit: 60}), Unseen, "user's own"},
		"a user's limit that is not in the way":  {tasks(probe.TasksReport{Max: "max", Started: 57, Limited: true, UserLimit: 63000}), OK, ""},
		"it could not be tried":                  {tasks(probe.TasksReport{Max: "max", Started: 3, Error: "EPERM"}), Unseen, "EPERM"},
		"a report that ends too early":           {tasks(probe.TasksReport{Max: "max", Started: 3}), Unseen, "only 3"},

		"enough for long":      {gas(100*5*500, 5), OK, "500 claims"},
		"not enough for long":  {gas(100*5*500-1, 5), Warn, "enough would be 500"},
		"just enough":          {gas(100*5*10, 5), Warn, "10 claims"},
		"a wei too little":     {gas(100*5*10-1, 5), Fail, "the least is 10"},
		"nothing":              {gas(0, 5), Fail, "0 claims"},
		"a chain without fees": {gas(500, 0), OK, ""},
		"nothing, and no fees": {gas(0, 0), Fail, ""},

		"hardware that verifies":    {tee(evidence.ClassMemoryEncrypted), OK, "measurement"},
		"a simulator that verifies": {tee(evidence.ClassNone), Warn, "protects nothing"},
		"a device that fails":       {judgeTEE(teeFacts{refused: "request X failed inside"}), Fail, "request X"},
		"evidence that is forged":   {judgeTEE(teeFacts{invalid: evidence.ErrReport}), Fail, "does not verify"},
	} {
		t.Run(name, j.check)
	}
}

// Texts as containerd 2 and CRI-O write them.
func TestJudgeImage(t *testing.T) {
	const (
		missing = `failed to pull and unpack image "localhost:5100/a/probe@sha256:0": failed to resolve reference "localhost:5100/a/probe@sha256:0": localhost:5100/a/probe@sha256:0: not found`
		bad     = `failed to pull and unpack image: unexpected status from HEAD request to http://localhost:5100/v2/probe-x/probe/manifests/sha256:0: 400 Bad Request`
		login   = `failed to authorize: failed to fetch anonymous token: unexpected status from GET request: 403 Forbidden`
		away    = `failed to do request: Head "http://localhost:5100/v2/a/probe/manifests/sha256:0": dial tcp 127.0.0.1:5100: connect: connection refused`
		tls     = `failed to do request: Head "https://localhost:5100/v2/a": http: server gave HTTP response to HTTPS client`
	)
	for name, test := range map[string]struct {
		absent, refused string
		want            Result
		says            string
	}{
		"the image store":                      {missing, bad, OK, "image store answers"},
		"the image store, asked by CRI-O":      {"reading manifest sha256:0 in localhost:5100/a/probe: manifest unknown", "reading manifest: name invalid", OK, ""},
		"nothing listens":                      {away, away, Fail, "nothing answers"},
		"another registry lacks both":          {missing, missing, Fail, "another registry"},
		"another registry, behind a login":     {login, login, Fail, "not the image store"},
		"one that refuses everything with 400": {bad, bad, Fail, "not the image store"},
		"the runtime insists on TLS":           {tls, tls, Fail, "TLS"},
	} {
		t.Run(name, judgement{judgeImage(imageFacts{"localhost:5100", test.absent, test.refused}), test.want, test.says}.check)
	}
}

func TestJudgeClock(t *testing.T) {
	for name, test := range map[string]struct {
		server   time.Duration
		chain    time.Duration
		maxDrift time.Duration
		unseen   bool
		want     Result
	}{
		"all even":                                    {0, 0, 0, false, OK},
		"a few seconds off":                           {-5 * time.Second, 3 * time.Second, 0, false, OK},
		"more than a few, behind":                     {-6 * time.Second, 0, 0, false, Warn},
		"more than a few, ahead":                      {6 * time.Second, 0, 0, false, Warn},
		"more than a minute":                          {-61 * time.Second, 0, 0, false, Fail},
		"more than a minute, and the chain is unseen": {61 * time.Second, 0, 0, true, Fail},
		"even, and the chain is unseen":               {0, 0, 0, true, OK},
		"the chain stands still":                      {0, -6 * time.Minute, 0, false, Warn},
		"the chain stands still for days, not asked":  {0, -48 * time.Hour, 0, false, Warn},
		"the chain is further off than configured":    {0, -61 * time.Second, time.Minute, false, Fail},
		"the chain is ahead of what is configured":    {0, 61 * time.Second, time.Minute, false, Fail},
		"the chain is as far off as configured":       {0, -10 * time.Minute, 10 * time.Minute, false, Warn},
		"a bad clock is not made good by the chain":   {2 * time.Minute, -6 * time.Minute, 0, false, Fail},
	} {
		t.Run(name, func(t *testing.T) {
			f := clockFacts{server: test.server, chain: &test.chain, maxDrift: test.maxDrift}
			if test.unseen {
				f.chain = nil
			}
			judgement{judgeClock(f), test.want, ""}.check(t)
		})
	}
}

func TestJudgeEndpoints(t *testing.T) {
	at := func(name string, number uint64, edit ...func(*answer)) answer {
		a := answer{name: name, node: Node{ChainID: 1, Contract: true, Number: number}}
		for _, e := range edit {
			e(&a)
		}
		return a
	}
	away := func(a *answer) { *a = answer{name: a.name, url: a.url, err: errors.New("connection refused")} }
	wrong := func(a *answer) { a.node.ChainID = 5 }
	bare := func(a *answer) { a.node.Contract = false }
	same, other := common.Hash{1}, common.Hash{2}
	for name, test := range map[string]struct {
		answers []answer
		hashes  []common.Hash
		want    Result
		says    string
	}{
		"two that agree":            {[]answer{at("a", 100), at("b", 103)}, []common.Hash{same, same}, OK, "2 endpoints of chain 1 agree"},
		"one alone":                 {[]answer{at("a", 100)}, []common.Hash{same}, Warn, "no other"},
		"one of two is away":        {[]answer{at("a", 100), at("b", 0, away)}, []common.Hash{same, {}}, Warn, "b does not answer"},
		"one of two lags":           {[]answer{at("a", 100), at("b", 94)}, []common.Hash{same, same}, Warn, "b is 6 blocks behind"},
		"one lags as far as it may": {[]answer{at("a", 100), at("b", 95)}, []common.Hash{same, same}, OK, ""},
		"two histories":             {[]answer{at("a", 100), at("b", 100)}, []common.Hash{same, other}, Fail, "2 different blocks"},
		"one of another chain":      {[]answer{at("a", 100), at("b", 9_000_000, wrong)}, []common.Hash{same, other}, Fail, "b is of chain 5, not 1"},
		"all of another chain":      {[]answer{at("a", 100, wrong)}, []common.Hash{other}, Fail, "a is of chain 5"},
		"one without the contract":  {[]answer{at("a", 100), at("b", 100, bare)}, []common.Hash{same, same}, Fail, "b does not have the contract"},
		"one can't say the hash":    {[]answer{at("a", 100), at("b", 100)}, []common.Hash{same, {}}, OK, ""},
		"a liar and one that lags":  {[]answer{at("a", 100, wrong), at("b", 100), at("c", 3)}, []common.Hash{other, same, same}, Fail, "c is 97 blocks behind"},
	} {
		t.Run(name, judgement{judgeEndpoints(endpointFacts{chainID: 1, maxLag: 5, answers: test.answers, hashes: test.hashes}), test.want, test.says}.check)
	}
}

// What can't be seen is never judged, whatever the facts.
func TestUnseenIsNotJudged(t *testing.T) {
	v := judged(networkFacts{near: probe.NetworkReport{Allowed: probe.OK, EgressDenied: probe.OK}}, errors.New("the API server is away"))(judgeNetwork)
	judgement{v, Unseen, "the API server is away"}.check(t)
}
