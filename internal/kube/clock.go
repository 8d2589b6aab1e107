// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

// ServerTime returns a function that asks the API server for its clock, in whole seconds: what every answer of a web server has at its
// head. Everybody may ask for the version.
func ServerTime(cfg *rest.Config) (func(context.Context) (time.Time, error), error) {
	hc, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("making the Kubernetes client: %w", err)
	}
	base, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("finding the API server: %w", err)
	}
	version := strings.TrimSuffix(base.String(), "/") + "/version"
	return func(ctx context.Context) (time.Time, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, version, nil)
		if err != nil {
			return time.Time{}, err
		}
		res, err := hc.Do(req)
		if err != nil {
			return time.Time{}, err
		}
		defer func() { _ = res.Body.Close() }()
		now, err := http.ParseTime(res.Header.Get("Date"))
		if err != nil {
			return time.Time{}, fmt.Errorf("its answer (%s) has no date: %w", res.Status, err)
		}
		return now, nil
	}, nil
}
