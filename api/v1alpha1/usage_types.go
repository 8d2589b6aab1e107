// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Usage is what one app used, exactly; it has the App's name. The meter creates it and outlives its crashes by it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:annotations="helm.sh/resource-policy=keep"
// +kubebuilder:resource:path=usages
// +kubebuilder:printcolumn:name="CPU",type=string,JSONPath=`.status.totals.cpuMilliSeconds`
// +kubebuilder:printcolumn:name="Accrued",type=date,JSONPath=`.status.accruedTo`
// +kubebuilder:printcolumn:name="Owed",type=string,JSONPath=`.status.voucher.total`
type Usage struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Status UsageStatus `json:"status,omitempty"`
}

// UsageList is a list of Usage.
//
// +kubebuilder:object:root=true
type UsageList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Usage `json:"items"`
}

// UsageStatus is the account of one app. Everything but Voucher, Release and Former is the meter's, who writes it with optimistic
// concurrency; those three are the keeper's.
type UsageStatus struct {
	// Totals are the quantities of closed intervals.
	// +optional
	Totals Totals `json:"totals,omitempty"`
	// Open are the intervals that still run, pods and volumes alike.
	// +optional
	// +listType=map
	// +listMapKey=uid
	Open []Interval `json:"open,omitempty"`
	// ClosedUIDs are those whose quantities are in Totals but whose finalizer may not be gone yet, so that a repeated closing counts
	// once.
	// +optional
	// +listType=set
	ClosedUIDs []string `json:"closedUIDs,omitempty"`
	// Counters are the counters of Traffic objects up to which bytes are in Totals: the two grow in one write, so that each byte counts once. One that
	// fell counts nothing until it has passed what is here. A pod's counter is forgotten with its pod, after which it counts nothing any more; one of no
	// pod once no Traffic has it.
	// +optional
	// +listType=map
	// +listMapKey=source
	Counters []Counted `json:"counters,omitempty"`
	// AccruedTo is the time up to which open intervals may be billed. It never goes back.
	// +optional
	AccruedTo *metav1.Time `json:"accruedTo,omitempty"`
	// Final says that the app has stopped, every interval is closed, and Totals will not change any more.
	// +optional
	Final bool `json:"final,omitempty"`

	// Voucher is the newest that the keeper signed.
	// +optional
	Voucher *Voucher `json:"voucher,omitempty"`
	// Release is the keeper's consent to close the channel at the final total.
	// +optional
	Release *Voucher `json:"release,omitempty"`
	// Former are the accounts of the channels that paid before, oldest first. What the app used beyond their sum is the present channel's.
	// +optional
	// +listType=atomic
	Former []FormerAccount `json:"former,omitempty"`
}

// FormerAccount is the account of a channel that paid for an app until another took over, with its last voucher and its release.
type FormerAccount struct {
	// Channel is 0x and 64 hex digits.
	Channel string `json:"channel"`
	// Account and Signature are those of an order.v1.SignedAccount, which is final.
	Account   []byte `json:"account"`
	Signature []byte `json:"signature"`
	// +optional
	Voucher *Voucher `json:"voucher,omitempty"`
	// +optional
	Release *Voucher `json:"release,omitempty"`
	// Arrears is the encoded order.v1.SignedArrears of what the channel had left unpaid when it was closed; absent before.
	// +optional
	Arrears []byte `json:"arrears,omitempty"`
}

// Counted is how far one counter is in the totals.
type Counted struct {
	// Source and PodUID are those of the TrafficCounter.
	Source string `json:"source"`
	// +optional
	PodUID string `json:"podUID,omitempty"`
	Bytes  int64  `json:"bytes"`
}

// Totals are exact quantities as decimal integers.
type Totals struct {
	// CPUMilliSeconds is thousandths of a vCPU × seconds.
	// +optional
	CPUMilliSeconds string `json:"cpuMilliSeconds,omitempty"`
	// The others are bytes × seconds.
	// +optional
	MemoryByteSeconds string `json:"memoryByteSeconds,omitempty"`
	// +optional
	EphemeralByteSeconds string `json:"ephemeralByteSeconds,omitempty"`
	// +optional
	StorageByteSeconds string `json:"storageByteSeconds,omitempty"`
	// EgressBytes left for addresses outside of the cluster.
	// +optional
	EgressBytes string `json:"egressBytes,omitempty"`
	// ExtendedUnitSeconds are units × seconds of extended resources, by the name of each: nvidia.com/gpu, for example.
	// +optional
	ExtendedUnitSeconds map[string]string `json:"extendedUnitSeconds,omitempty"`
}

// Interval is a time during which something was reserved at a constant rate. It is billed in whole seconds from Start rounded up to
// its end rounded down.
type Interval struct {
	// UID is the pod's or claim's.
	UID string `json:"uid"`
	// Kind is Pod or Volume.
	// +kubebuilder:validation:Enum=Pod;Volume
	Kind string `json:"kind"`
	// Name is the service's or volume's, for people.
	Name string `json:"name"`
	// Machine is the Kubernetes Node whose heartbeat proves the time; empty for volumes.
	// +optional
	Machine string `json:"machine,omitempty"`
	// Rates while it is open.
	// +optional
	MilliCPU int64 `json:"milliCPU,omitempty"`
	// +optional
	MemoryBytes int64 `json:"memoryBytes,omitempty"`
	// +optional
	EphemeralBytes int64 `json:"ephemeralBytes,omitempty"`
	// +optional
	StorageBytes int64 `json:"storageBytes,omitempty"`
	// Extended are units of extended resources, by the name of each.
	// +optional
	Extended map[string]int64 `json:"extended,omitempty"`

	Start metav1.Time `json:"start"`
	// AccruedTo is the last second that may be billed; not before Start.
	// +optional
	AccruedTo *metav1.Time `json:"accruedTo,omitempty"`
}

// Voucher is a signed cumulative total on a channel.
type Voucher struct {
	// Channel is 0x and 64 hex digits.
	Channel string `json:"channel"`
	// Total in decimal base units.
	Total string `json:"total"`
	// Signature is the keeper's, 65 bytes.
	Signature []byte `json:"signature"`
}
