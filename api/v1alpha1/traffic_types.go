// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Traffic is what one reporter counted of the bytes that leave for addresses outside of the cluster, app by app. A reporter is the agent of one
// machine, which counts at its pods' interfaces, or one pod of the facade or the gateway, which count what they move for an app themselves. It is the
// object's only writer and writes it whole; the meter reads it, and deletes it when its reporter is long gone and all of it is counted.
//
// A counter is cumulative and never falls while its source lasts: what grew since the meter last looked is what is added to the app's account. So
// a report may be repeated, late or lost in between without a byte counting twice. What a reporter counted and did not write before it died is free. A
// reporter that starts anew goes on from what its object says; one whose object is gone starts at zero, and does not write what it had there.
//
// +kubebuilder:object:root=true
// +kubebuilder:metadata:annotations="helm.sh/resource-policy=keep"
// +kubebuilder:resource:path=traffics
// +kubebuilder:printcolumn:name="Machine",type=string,JSONPath=`.machine`
// +kubebuilder:printcolumn:name="Seen",type=date,JSONPath=`.seenAt`
type Traffic struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Machine is the Kubernetes Node whose pods a machine's agent counts; empty in the facade's and the gateway's. It says that pods on that machine
	// have somebody who counts for them: while the agent lives, the meter keeps each pod until its counters are closed.
	// +optional
	Machine string `json:"machine,omitempty"`
	// SeenAt is when the reporter last looked, by its machine's clock: at the latest a minute ago, also if nothing changed. An agent that is two minutes
	// behind its machine's heartbeat counts as dead, and no pod waits for it.
	SeenAt metav1.Time `json:"seenAt"`
	// Counters of all apps that the reporter has something to say about.
	// +optional
	// +listType=map
	// +listMapKey=app
	// +listMapKey=source
	Counters []TrafficCounter `json:"counters,omitempty"`
}

// TrafficList is a list of Traffic.
//
// +kubebuilder:object:root=true
type TrafficList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Traffic `json:"items"`
}

// TrafficCounter is what one source moved for an app.
type TrafficCounter struct {
	// App is the app's id, as in its App's name.
	// +kubebuilder:validation:MaxLength=52
	App string `json:"app"`
	// Source names what is counted, and is never used again for anything else: of a machine's agent the id of a pod's network (its sandbox), so that a
	// pod whose sandbox is made anew has two; of the facade and the gateway the UID of their own pod.
	// +kubebuilder:validation:MaxLength=128
	Source string `json:"source"`
	// PodUID is the app's pod whose interface this is; empty in the facade's and the gateway's. A pod's counter counts while its pod is there, so it
	// stays in the list until the pod is gone.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	PodUID string `json:"podUID,omitempty"`
	// Bytes that left since the source began. It never falls, and does not grow any more once the counter is closed.
	// +kubebuilder:validation:Minimum=0
	Bytes int64 `json:"bytes"`
	// Closed says that no more will come: the sandbox is gone and its last bytes are in.
	// +optional
	Closed bool `json:"closed,omitempty"`
}

// TrafficOfMachine is the name of the Traffic of a machine's agent. The facade's and the gateway's have their pod's name.
func TrafficOfMachine(machine string) string { return "machine-" + machine }
