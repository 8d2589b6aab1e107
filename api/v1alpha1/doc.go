// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the kinds in which the provider's services meet: App, what a publisher ordered, Usage, what it used, Traffic, what
// was counted of bytes that leave, and Provider, whether the provider is fit to take more.
//
// They live in the system namespace, the first two under the app id in lower-case base32, and own nothing in tenants' namespaces. Each field group
// has one writer, named in its comment; everyone else only reads it. Nothing here is secret, and nothing here is believed without a
// signature where money or trust depends on it: the keeper checks the publisher's statement before anything is made from a spec.
//
// +kubebuilder:object:generate=true
// +groupName=apocryph.network
package v1alpha1
