// SPDX-License-Identifier: Apache-2.0

package meter_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/apocryph/apocryph/internal/meter"
)

func TestWhatHeartbeatsProve(t *testing.T) {
	type look struct {
		at, beat int64
		ready    int64 // 0 for not ready
	}
	known := func(beat, since, steady int64) meter.Machine {
		return meter.Machine{Beat: at(beat), Since: at(since), Steady: at(steady)}
	}
	for name, c := range map[string]struct {
		looks []look
		want  meter.Machine
	}{
		"the first one proves itself":                                    {[]look{{100, 95, 0}}, known(95, 95, 95)},
		"and since when Kubernetes calls the machine ready":              {[]look{{100, 95, 20}}, known(95, 20, 95)},
		"but not what is yet to come":                                    {[]look{{100, 95, 99}}, known(95, 95, 95)},
		"those that follow prove what is between":                        {[]look{{100, 95, 0}, {110, 105, 0}, {120, 117, 0}}, known(117, 95, 95)},
		"what Kubernetes says is of no matter while the meter looks":     {[]look{{100, 95, 20}, {110, 105, 104}}, known(105, 20, 95)},
		"the same one again proves nothing more":                         {[]look{{100, 95, 0}, {105, 95, 0}}, known(95, 95, 95)},
		"a pause":                                                        {[]look{{100, 95, 0}, {110, 95, 0}, {115, 108, 0}}, known(108, 95, 108)},
		"a long silence":                                                 {[]look{{100, 95, 0}, {150, 95, 0}, {200, 95, 0}, {220, 216, 20}}, known(216, 216, 216)},
		"a clock that is put back":                                       {[]look{{100, 3695, 0}, {110, 105, 0}}, known(105, 3695, 105)},
		"a meter that did not look knows only what Kubernetes does":      {[]look{{100, 95, 0}, {161, 155, 99}}, known(155, 99, 155)},
		"and where that says nothing, nothing":                           {[]look{{100, 95, 20}, {161, 155, 0}}, known(155, 155, 155)},
		"a suspended one looks at once when it wakes, by its own clock":  {[]look{{100, 95, 0}, {102, 3695, 20}}, known(3695, 3695, 3695)},
		"a minute without a look is none that was missed, so it is kept": {[]look{{100, 95, 0}, {160, 155, 99}}, known(155, 95, 155)},
	} {
		t.Run(name, func(t *testing.T) {
			p := &meter.Pulse{}
			for _, l := range c.looks {
				ready := map[string]time.Time{}
				if l.ready != 0 {
					ready["m"] = at(l.ready)
				}
				p.Hear(map[string]time.Time{"m": at(l.beat)}, ready, at(l.at), at(l.at+7200))
			}
			last := c.looks[len(c.looks)-1].at
			got, fresh := p.Latest(at(last + 60))
			if diff := cmp.Diff(meter.Heard{Machines: map[string]meter.Machine{"m": c.want}, Cluster: c.want}, got, cmpopts.IgnoreFields(meter.Machine{}, "Before")); diff != "" {
				t.Errorf("known (-want +got):\n%s", diff)
			}
			if _, later := p.Latest(at(last + 61)); !fresh || later {
				t.Errorf("fresh after a minute %v, after more %v", fresh, later)
			}
		})
	}
}

func TestTheClusterBeatsWhileAnyMachineDoes(t *testing.T) {
	p := &meter.Pulse{}
	if _, fresh := p.Latest(at(0)); fresh {
		t.Error("fresh before anything was heard")
	}
	for now := int64(0); now <= 600; now += 10 {
		beats := map[string]time.Time{"a": at(min(now, 200)), "b": at(now)}
		if now > 300 {
			delete(beats, "a")
		}
		p.Hear(beats, map[string]time.Time{"a": at(-50), "b": at(-20)}, at(now), at(now))
	}
	got, _ := p.Latest(at(600))
	want := meter.Machine{Beat: at(600), Since: at(-50), Steady: at(0)}
	if diff := cmp.Diff(want, got.Cluster, cmpopts.IgnoreFields(meter.Machine{}, "Before")); diff != "" {
		t.Errorf("cluster (-want +got):\n%s", diff)
	}
	if len(got.Machines) != 1 {
		t.Errorf("machines are %v", got.Machines)
	}
}

func TestWhichHeartbeatsCameBefore(t *testing.T) {
	for name, c := range map[string]struct {
		beats []int64
		want  [2]time.Time
	}{
		"the last two":               {[]int64{95, 108, 130, 145}, [2]time.Time{at(130), at(108)}},
		"each of them once":          {[]int64{95, 108, 108, 130, 130}, [2]time.Time{at(108), at(95)}},
		"none by a clock that was":   {[]int64{3695, 3708, 3730, 105}, [2]time.Time{}},
		"none before a long silence": {[]int64{95, 108, 130, 3695}, [2]time.Time{}},
	} {
		p := &meter.Pulse{}
		for i, b := range c.beats {
			now := at(int64(100 + 10*i))
			p.Hear(map[string]time.Time{"m": at(b)}, nil, now, now)
		}
		got, _ := p.Latest(at(140))
		if diff := cmp.Diff(c.want, got.Machines["m"].Before); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
