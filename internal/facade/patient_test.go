// SPDX-License-Identifier: Apache-2.0

package facade

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestARefusedConnectionIsTriedAgainForATime(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	other := errors.New("no route")
	for name, c := range map[string]struct {
		errs []error // the last one repeats
		want error
		took time.Duration
	}{
		"the first attempt works":         {[]error{nil}, nil, 0},
		"the third attempt works":         {[]error{refused, refused, nil}, nil, 2 * dialEvery},
		"it is refused for good":          {[]error{refused}, refused, patience},
		"another error is not waited for": {[]error{other}, other, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := 0
				dial := patient(func(context.Context, string, string) (net.Conn, error) {
					err := c.errs[min(n, len(c.errs)-1)]
					n++
					return nil, err
				})
				begin := time.Now()
				if _, err := dial(t.Context(), "tcp", "x"); !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
				if took := time.Since(begin); took != c.took {
					t.Errorf("took %s, want %s", took, c.took)
				}
			})
		})
	}
}
