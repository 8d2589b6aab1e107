// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group and Version name this API. FinalizerMeter keeps a pod or claim until its time is written down; FinalizerChannel keeps an App, from
// its order on, until its channel is settled, and FinalizerApp one that something was made for until that is gone. LabelApp, on everything made for an app, holds the app id; LabelService the service's name.
// AnnotationTransfer, before a volume's name, is on an App for as long as a publisher moves that volume's content: the encoded order.v1.SignedStatement, in
// base64.
const (
	Group            = "apocryph.network"
	Version          = "v1alpha1"
	FinalizerMeter   = "apocryph.network/meter"
	FinalizerChannel = "apocryph.network/channel"
	FinalizerApp     = "apocryph.network/app"
	LabelApp         = "apocryph.network/app"
	LabelService     = "apocryph.network/service"
	LabelVolume      = "apocryph.network/volume"

	AnnotationTransfer = "transfer.apocryph.network/"
)

// SchemeGroupVersion is the group and version of this package's kinds.
func SchemeGroupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: Group, Version: Version}
}

// AddToScheme adds this package's kinds to a scheme.
func AddToScheme(s *runtime.Scheme) error {
	gv := SchemeGroupVersion()
	s.AddKnownTypes(gv, &App{}, &AppList{}, &Usage{}, &UsageList{}, &Traffic{}, &TrafficList{}, &Provider{}, &ProviderList{})
	metav1.AddToGroupVersion(s, gv)
	return nil
}

// Namespace is the name of the tenant namespace of the app with this id (52 base32 characters).
func Namespace(app string) string { return namespacePrefix + app }

// AppOf is the inverse of Namespace; false for a namespace that is no tenant's.
func AppOf(namespace string) (string, bool) { return strings.CutPrefix(namespace, namespacePrefix) }

const namespacePrefix = "app-"
