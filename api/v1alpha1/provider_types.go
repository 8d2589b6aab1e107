// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ProviderName is the name of the one Provider, in the system namespace.
const ProviderName = "provider"

// Provider is the state of the provider itself: whether it is fit to take new apps. There is one. Nothing that runs depends on it, and
// without it the gateway offers as ever.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=providers,singular=provider
// +kubebuilder:printcolumn:name="Fit",type=string,JSONPath=`.status.conditions[?(@.type=="Fit")].status`
// +kubebuilder:printcolumn:name="Failing",type=string,JSONPath=`.status.failing`
// +kubebuilder:printcolumn:name="Seen",type=date,JSONPath=`.status.seenAt`
type Provider struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Status ProviderStatus `json:"status,omitempty"`
}

// ProviderList is a list of Provider.
//
// +kubebuilder:object:root=true
type ProviderList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Provider `json:"items"`
}

// ConditionFit (doctor): no required check fails. While it is False the gateway gives no quotes for new apps.
const ConditionFit = "Fit"

// ProviderStatus is what the doctor last saw. Everything but GasAccount is the doctor's.
type ProviderStatus struct {
	// Conditions are Fit and one for each check, by its name. What could not be looked at keeps the status that it had.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Failing are the names of the required checks that fail.
	// +optional
	// +listType=set
	Failing []string `json:"failing,omitempty"`
	// SeenAt is when the doctor last looked at anything.
	// +optional
	SeenAt *metav1.Time `json:"seenAt,omitempty"`
	// Machines are what each machine last said to the checks that depend on the machine.
	// +optional
	// +listType=map
	// +listMapKey=name
	Machines []MachineStatus `json:"machines,omitempty"`

	// GasAccount is the address that pays for claims, 0x and 40 hex digits. The invoicer writes it, who alone has its key.
	// +optional
	// +kubebuilder:validation:Pattern=`^0x[0-9a-fA-F]{40}$`
	GasAccount string `json:"gasAccount,omitempty"`
}

// MachineStatus is what the doctor last saw on one machine. It is kept while the machine is part of the cluster.
type MachineStatus struct {
	Name string `json:"name"`
	// LookedAt is when all checks were last tried here, whether or not they could be made.
	// +optional
	LookedAt *metav1.Time `json:"lookedAt,omitempty"`
	// Checks have the last verdict of each check that had one here.
	// +optional
	// +listType=map
	// +listMapKey=name
	Checks []MachineCheck `json:"checks,omitempty"`
}

// MachineCheck is a check's last verdict on one machine.
type MachineCheck struct {
	Name string `json:"name"`
	// Result is ok, warn or FAIL.
	Result string `json:"result"`
	// Saw is what was seen; it is left out where all is well.
	// +optional
	Saw string `json:"saw,omitempty"`
	// At is when it was seen.
	At metav1.Time `json:"at"`
}
