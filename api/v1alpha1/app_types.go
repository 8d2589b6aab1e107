// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// App is one app file running at this provider.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:annotations="helm.sh/resource-policy=keep"
// +kubebuilder:subresource:scale:specpath=.spec.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:printcolumn:name="Name",type=string,JSONPath=`.spec.name`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Host",type=string,JSONPath=`.spec.host`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type App struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   AppSpec   `json:"spec"`
	Status AppStatus `json:"status,omitempty"`
}

// AppList is a list of App.
//
// +kubebuilder:object:root=true
type AppList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []App `json:"items"`
}

// AppSpec is what the publisher ordered, with the proof that they did. The gateway writes it, except Replicas.
//
// +kubebuilder:validation:XValidation:rule="self.publisher == oldSelf.publisher && self.provider == oldSelf.provider && self.salt == oldSelf.salt",message="an app never changes hands"
// +kubebuilder:validation:XValidation:rule="self.sequence >= oldSelf.sequence",message="a statement is older than the one in force"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.former) || (has(self.former) && size(self.former) >= size(oldSelf.former))",message="a channel that paid is not forgotten"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.stop) || (has(self.stop) && self.stop == oldSelf.stop)",message="a stop is not taken back"
type AppSpec struct {
	// Name is the publisher's name for the app.
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
	// Publisher and Provider are Ethereum addresses, 0x and 40 lower-case hex digits.
	// +kubebuilder:validation:Pattern=`^0x[0-9a-f]{40}$`
	Publisher string `json:"publisher"`
	// +kubebuilder:validation:Pattern=`^0x[0-9a-f]{40}$`
	Provider string `json:"provider"`
	// Salt makes the app id unguessable: id = keccak256(publisher, provider, salt). 0x and 64 hex digits.
	// +kubebuilder:validation:Pattern=`^0x[0-9a-f]{64}$`
	Salt string `json:"salt"`

	// Manifest is the encoded manifest.v1.Manifest.
	// +kubebuilder:validation:MaxLength=700000
	Manifest []byte `json:"manifest"`
	// ManifestHash is the workload digest, 64 hex digits.
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	ManifestHash string `json:"manifestHash"`
	// Statement is the encoded order.v1.SignedStatement that ordered this manifest.
	Statement []byte `json:"statement"`
	// Sequence is the statement's sequence number, or the stop's once there is one.
	// +kubebuilder:validation:Minimum=0
	Sequence int64 `json:"sequence"`
	// Stop is the encoded order.v1.SignedStatement that ended the app.
	// Without a format, because rules read the format "byte" as URL-safe base64, which JSON does not write.
	// +optional
	// +kubebuilder:validation:Format=""
	Stop []byte `json:"stop,omitempty"`

	// Channel is the id of the channel that pays, 0x and 64 hex digits; Terms its encoded order.v1.Terms; Quote the encoded
	// order.v1.SignedQuote it was opened on, which holds the tariff.
	// +kubebuilder:validation:Pattern=`^0x[0-9a-f]{64}$`
	Channel string `json:"channel"`
	Terms   []byte `json:"terms"`
	Quote   []byte `json:"quote"`
	// Former are the channels that paid before, oldest first; an update that outgrows a channel's cap brings another one.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Former []FormerChannel `json:"former,omitempty"`

	// Host is the full host name at which the facade answers for the app; empty when no service answers HTTP.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Host string `json:"host,omitempty"`

	// Replicas is the scale of the http service. The facade or an autoscaler writes it through the scale subresource; only the
	// controller reads it.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	Replicas *int32 `json:"replicas,omitempty"`
}

// FormerChannel is a channel that paid for an app before, as it was named in its spec.
type FormerChannel struct {
	// +kubebuilder:validation:Pattern=`^0x[0-9a-f]{64}$`
	Channel string `json:"channel"`
	Terms   []byte `json:"terms"`
	Quote   []byte `json:"quote"`
}

// Phase sums up the conditions for people. Programs read conditions.
//
// +kubebuilder:validation:Enum=Pending;Starting;Ready;Suspended;Ending;Ended
type Phase string

// The phases of an app.
const (
	PhasePending   Phase = "Pending"
	PhaseStarting  Phase = "Starting"
	PhaseReady     Phase = "Ready"
	PhaseSuspended Phase = "Suspended"
	PhaseEnding    Phase = "Ending"
	PhaseEnded     Phase = "Ended"
)

// Condition types of an App and who writes them.
const (
	// ConditionVerified (keeper): delegation, statement, manifest, channel terms and quote agree for this generation.
	ConditionVerified = "Verified"
	// ConditionFunded (invoicer): the channel pays for what runs.
	ConditionFunded = "Funded"
	// ConditionSettled (invoicer): the final totals are on chain, and the channel and those before it are closed.
	ConditionSettled = "Settled"
	// ConditionReady (controller): every service has its replicas ready.
	ConditionReady = "Ready"
	// ConditionNotified (notifier): the publisher's webhook took what it was told last.
	ConditionNotified = "Notified"
	// ConditionStopped (controller): no pod is left, and none will be made.
	ConditionStopped = "Stopped"
)

// Reasons of ConditionFunded.
const (
	// ReasonFunded and ReasonLow: it runs, the latter not for long.
	ReasonFunded = "Funded"
	ReasonLow    = "Low"
	// ReasonExhausted: it sleeps; what is left is kept back for its volumes and the last claim. A deposit brings it back.
	ReasonExhausted = "Exhausted"
	// ReasonGraceOver: it was exhausted for as long as its volumes are kept, and ends.
	ReasonGraceOver = "GraceOver"
	// ReasonCapExceeded: it reserves more than the channel's cap pays for, and sleeps until the cap has caught up.
	ReasonCapExceeded = "CapExceeded"
	ReasonNotice      = "Notice"
	ReasonClosed      = "Closed"
	ReasonChainUnseen = "ChainUnseen"
)

// Reasons of ConditionNotified.
const (
	ReasonDelivered = "Delivered"
	// ReasonRetrying: it is told again, later and later.
	ReasonRetrying = "Retrying"
	// ReasonGivenUp: it is told again only when another webhook is ordered, or something else has become of the app.
	ReasonGivenUp = "GivenUp"
	// ReasonNoWebhook: the order in force names none any more.
	ReasonNoWebhook = "NoWebhook"
)

// EndReason is why an app ended; every end has one.
//
// +kubebuilder:validation:Enum=StoppedByPublisher;DeletedByProvider;ChannelClosed;NoticeEnded;FundsExhausted
type EndReason string

// The reasons for which an app ends.
const (
	EndStoppedByPublisher EndReason = "StoppedByPublisher"
	EndDeletedByProvider  EndReason = "DeletedByProvider"
	EndChannelClosed      EndReason = "ChannelClosed"
	EndNoticeEnded        EndReason = "NoticeEnded"
	EndFundsExhausted     EndReason = "FundsExhausted"
)

// AppStatus is what the provider's services report.
type AppStatus struct {
	// Conditions, each written by the service named beside its type.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// The controller writes the fields from here to Carriers.

	// ObservedGeneration is the generation that the controller last acted on.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// +optional
	Phase Phase `json:"phase,omitempty"`
	// URL is where app users find the app.
	// +optional
	URL string `json:"url,omitempty"`
	// Replicas and Selector are those of the http service, for the scale subresource.
	// +optional
	Replicas int32 `json:"replicas,omitempty"`
	// +optional
	Selector string `json:"selector,omitempty"`
	// EndReason is set once, when the app begins to end.
	// +optional
	EndReason EndReason `json:"endReason,omitempty"`
	// +optional
	EndedAt *metav1.Time `json:"endedAt,omitempty"`
	// Services in the manifest's order.
	// +optional
	// +listType=map
	// +listMapKey=name
	Services []ServiceStatus `json:"services,omitempty"`
	// Volumes sorted by name, those that left the manifest and are kept among them.
	// +optional
	// +listType=map
	// +listMapKey=name
	Volumes []VolumeStatus `json:"volumes,omitempty"`
	// Carriers are where the content of volumes can be moved now, for the transfers that the keeper lets happen.
	// +optional
	// +listType=map
	// +listMapKey=volume
	Carriers []Carrier `json:"carriers,omitempty"`

	// Transfers of volumes' content that their publisher signed, as the keeper has checked.
	// +optional
	// +listType=map
	// +listMapKey=volume
	Transfers []Transfer `json:"transfers,omitempty"`

	// Funds is what the invoicer last saw on chain of the channel that it takes for the one that pays: that of the spec, once it was seen there
	// open and confirmed.
	// +optional
	Funds *Funds `json:"funds,omitempty"`
	// Former is what the invoicer last saw of the channels before it.
	// +optional
	// +listType=map
	// +listMapKey=channel
	Former []FormerFunds `json:"former,omitempty"`

	// Notify is what the publisher's webhook was told, and is yet to be. The notifier writes it.
	// +optional
	Notify *NotifyStatus `json:"notify,omitempty"`
}

// NotifyStatus is where the notifier is. Nothing in it tells the webhook's URL.
type NotifyStatus struct {
	// Webhook is the commitment to the URL that this is about, 64 hex digits.
	Webhook string `json:"webhook"`
	// Failures is how often it was tried in vain since it last answered well; NextTry is not before then.
	// +optional
	Failures int32 `json:"failures,omitempty"`
	// +optional
	NextTry *metav1.Time `json:"nextTry,omitempty"`
	// Messages, in the order in which they are told: of each type and service the last one.
	// +optional
	// +listType=atomic
	Messages []NotifyMessage `json:"messages,omitempty"`
}

// NotifyMessage is one that the webhook is told.
type NotifyMessage struct {
	// ID is the same however often it is told.
	ID string `json:"id"`
	// Type is what became of the app, as in app.funds.low.
	Type string `json:"type"`
	// Service is the one that it is about; empty for the app as a whole.
	// +optional
	Service string `json:"service,omitempty"`
	// Reason and Text are for people.
	// +optional
	Reason string `json:"reason,omitempty"`
	// +optional
	Text string `json:"text,omitempty"`
	// At is when it came to be known.
	At metav1.Time `json:"at"`
	// +optional
	Tries int32 `json:"tries,omitempty"`
	// Outcome is how telling it ended; empty until then.
	// +optional
	Outcome NotifyOutcome `json:"outcome,omitempty"`
}

// NotifyOutcome is how telling a message ended.
//
// +kubebuilder:validation:Enum=Delivered;GivenUp;Overtaken
type NotifyOutcome string

// The outcomes of a message.
const (
	NotifyDelivered NotifyOutcome = "Delivered"
	NotifyGivenUp   NotifyOutcome = "GivenUp"
	// NotifyOvertaken was tried in vain, and is not true any more.
	NotifyOvertaken NotifyOutcome = "Overtaken"
)

// ServiceStatus is one service's pods.
type ServiceStatus struct {
	Name string `json:"name"`
	// +optional
	Wanted int32 `json:"wanted,omitempty"`
	// +optional
	Ready int32 `json:"ready,omitempty"`
	// +optional
	Restarts int32 `json:"restarts,omitempty"`
	// Blocked says what keeps it from being ready, for people.
	// +optional
	Blocked string `json:"blocked,omitempty"`
	// Crashing says how it ends again and again; empty while it does not. Nothing that it wrote is in it.
	// +optional
	Crashing string `json:"crashing,omitempty"`
}

// VolumeStatus is one volume that there is.
type VolumeStatus struct {
	Name string `json:"name"`
	// SizeBytes is what was ordered.
	SizeBytes int64 `json:"sizeBytes"`
	// Services mount it; none of a volume that left the manifest.
	// +optional
	// +listType=set
	Services []string `json:"services,omitempty"`
}

// Transfer is one that is asked for: the content of a volume goes out or comes in.
type Transfer struct {
	Volume string `json:"volume"`
	// Sequence is the statement's.
	Sequence int64 `json:"sequence"`
	// Put says that content comes in.
	// +optional
	Put bool `json:"put,omitempty"`
	// Until is how long it may take.
	Until metav1.Time `json:"until"`
	// Refused is why it may not happen, for people.
	// +optional
	Refused string `json:"refused,omitempty"`
}

// Carrier is where one transfer can take place.
type Carrier struct {
	Volume string `json:"volume"`
	// Sequence is the transfer's.
	Sequence int64 `json:"sequence"`
	// Pod and Container are where the carrier is to be run, once it is there, and Path where the volume is in it.
	// +optional
	Pod string `json:"pod,omitempty"`
	// +optional
	Container string `json:"container,omitempty"`
	// +optional
	Path string `json:"path,omitempty"`
	// Problem is why there will be none, for people.
	// +optional
	Problem string `json:"problem,omitempty"`
}

// Funds is the state of the app's channel as the invoicer last saw it. Amounts are decimal base units.
type Funds struct {
	// Channel is the one that this is about, 0x and 64 hex digits.
	// +optional
	Channel   string `json:"channel,omitempty"`
	Deposited string `json:"deposited"`
	Claimed   string `json:"claimed"`
	// Reserve is what is kept back: when no more is left of the deposit, the app sleeps.
	// +optional
	Reserve string `json:"reserve,omitempty"`
	// ExhaustedAt is since when the app sleeps because no more is left; absent while it may run.
	// +optional
	ExhaustedAt *metav1.Time `json:"exhaustedAt,omitempty"`
	// Refunded is known once the channel is closed.
	// +optional
	Refunded string `json:"refunded,omitempty"`
	// NoticeEnd is when the publisher may withdraw; absent without notice.
	// +optional
	NoticeEnd *metav1.Time `json:"noticeEnd,omitempty"`
	// +optional
	Closed bool `json:"closed,omitempty"`
	// Block and SeenAt say when the chain was read.
	Block  int64       `json:"block"`
	SeenAt metav1.Time `json:"seenAt"`
}

// FormerFunds is the state of a channel that paid for an app before. Amounts are decimal base units.
type FormerFunds struct {
	Channel   string `json:"channel"`
	Deposited string `json:"deposited"`
	Claimed   string `json:"claimed"`
	// Refunded is known once the channel is closed.
	// +optional
	Refunded string `json:"refunded,omitempty"`
	// Closed is for good.
	// +optional
	Closed bool `json:"closed,omitempty"`
}
