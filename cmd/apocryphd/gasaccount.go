// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/ethereum/go-ethereum/common"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/span"
)

// sayEvery is how often the gas account is said: the Provider is the doctor's to make, and may be made anew.
const sayEvery = 10 * time.Second

// sayAccount writes into the Provider which account pays, so that the doctor can look at its balance without the key. It goes on until ctx
// ends, and whether it works concerns nobody here.
func sayAccount(ctx context.Context, cluster client.WithWatch, namespace string, account common.Address) error {
	p := &v1alpha1.Provider{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: v1alpha1.ProviderName},
		Status:     v1alpha1.ProviderStatus{GasAccount: account.Hex()},
	}
	for {
		var now v1alpha1.Provider
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(p), &now); err == nil && now.Status.GasAccount != p.Status.GasAccount {
			_ = kube.ApplyStatus(ctx, cluster, p, "invoicer")
		}
		if span.Wait(ctx, sayEvery) != nil {
			return nil //nolint:nilerr // told to stop
		}
	}
}
