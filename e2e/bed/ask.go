// SPDX-License-Identifier: Apache-2.0

package bed

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

// patience is longer than the facade lets a request wait for an app that is on its way.
const patience = 45 * time.Second

// Ask asks an app again and again until the returned function is called, which tells how often, and what failed.
func Ask(t *testing.T, d *Devnet, url string) func() (int, []string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	web := d.Web()
	web.Timeout = patience
	var wait sync.WaitGroup
	asked, failed := 0, []string{}
	wait.Go(func() {
		for ctx.Err() == nil {
			err := once(ctx, web, url+"/")
			if ctx.Err() != nil {
				return
			}
			if asked++; err != nil {
				failed = append(failed, fmt.Sprintf("request %d: %v", asked, err))
			}
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	t.Cleanup(stop)
	return func() (int, []string) {
		stop()
		wait.Wait()
		return asked, failed
	}
}

// once returns an error unless a request is answered with 200, and in full.
func once(ctx context.Context, web *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := web.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return nil
}
