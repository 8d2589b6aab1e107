// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/apocryph/apocryph/internal/appfile"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/publisher"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/usage"
)

// The views are what --json prints, one line each. Amounts are decimal strings in base units of the token; times are RFC 3339.

type tokenView struct {
	Address  string `json:"address"`
	Symbol   string `json:"symbol"`
	Decimals uint8  `json:"decimals"`
}

func tokenOf(t publisher.Token) tokenView {
	return tokenView{t.Address.Hex(), t.Symbol, t.Decimals}
}

type offerView struct {
	Token          tokenView     `json:"token"`
	Provider       string        `json:"provider"`
	HourlyAwake    tariff.Amount `json:"hourly_awake"`
	HourlyAsleep   tariff.Amount `json:"hourly_asleep"`
	HourlyCap      tariff.Amount `json:"hourly_cap"`
	MinimumDeposit tariff.Amount `json:"minimum_deposit"`
	Deposit        tariff.Amount `json:"deposit"`
	RunwaySeconds  int64         `json:"runway_seconds"`
	Balance        tariff.Amount `json:"balance"`
	NoticeSeconds  int64         `json:"notice_seconds"`
	Host           string        `json:"host"`
	ExpiresAt      time.Time     `json:"expires_at"`
	// Follows is the channel that the new one takes over from.
	Follows string `json:"follows,omitempty"`
}

func offerOf(o *publisher.Offer) *offerView {
	if o == nil {
		return nil
	}
	v := &offerView{
		Token: tokenOf(o.Token), Provider: o.Provider.Hex(), HourlyAwake: o.Awake, HourlyAsleep: o.Asleep, HourlyCap: o.Cap, MinimumDeposit: o.Minimum,
		Deposit: o.Deposit, RunwaySeconds: int64(o.Runway / time.Second), Balance: o.Balance, NoticeSeconds: int64(o.Notice / time.Second), Host: o.Host, ExpiresAt: o.ExpiresAt.UTC(),
	}
	if o.Follows != nil {
		v.Follows = o.Follows.String()
	}
	return v
}

func offerText(o *publisher.Offer) string {
	f := o.Token.Format
	lines := []string{
		fmt.Sprintf("provider  %s", o.Provider),
		fmt.Sprintf("cost      %s per hour awake, %s per hour asleep", f(o.Awake), f(o.Asleep)),
		fmt.Sprintf("cap       %s per hour: the most that can ever be claimed", f(o.Cap)),
		fmt.Sprintf("deposit   %s (the wallet has %s)", f(o.Deposit), f(o.Balance)),
		fmt.Sprintf("runway    %s awake; what is not used comes back at the stop, or %s after a notice", publisher.Span(o.Runway), publisher.Span(o.Notice)),
	}
	if o.Host != "" {
		lines = append(lines, "host      "+o.Host)
	}
	if o.Follows != nil {
		lines = append(lines, fmt.Sprintf("channel   a new one; %s is settled, and what it does not owe comes back", o.Follows))
	}
	return strings.Join(lines, "\n")
}

type dryRunView struct {
	Event string         `json:"event"`
	App   string         `json:"app"`
	Name  string         `json:"name"`
	Offer *offerView     `json:"offer"`
	Notes []appfile.Note `json:"notes"`
}

func dryRunOf(d *publisher.Deployed, f *appfile.File) dryRunView {
	return dryRunView{"offer", d.App.ID.String(), d.App.Name, offerOf(d.Offer), f.Notes}
}

type deployedView struct {
	Event    string  `json:"event"`
	App      string  `json:"app"`
	Name     string  `json:"name"`
	Phase    string  `json:"phase"`
	URL      string  `json:"url"`
	Provider string  `json:"provider"`
	Channel  string  `json:"channel"`
	OpenTx   string  `json:"open_tx"`
	Seconds  float64 `json:"seconds"`
	// Offer is absent when an app was updated on its channel.
	Offer *offerView `json:"offer,omitempty"`
}

func deployedOf(d *publisher.Deployed, took time.Duration) deployedView {
	return deployedView{
		Event: "result", App: d.App.ID.String(), Name: d.App.Name, Phase: publisher.PhaseName(d.Status.GetPhase()), URL: d.App.URL,
		Provider: d.App.Provider.Hex(), Channel: d.App.Channel.ID.String(), OpenTx: d.App.Channel.OpenTx, Seconds: took.Seconds(), Offer: offerOf(d.Offer),
	}
}

func (v deployedView) write(out io.Writer) error {
	url := v.URL
	if url == "" {
		url = "(no service answers http)"
	}
	_, err := fmt.Fprintf(out, "%s is %s after %.0f s: %s\n\nfollow it   apocryph logs %s -f\nits bill    apocryph bill %s\nend it      apocryph stop %s\n",
		v.Name, v.Phase, v.Seconds, url, v.Name, v.Name, v.Name)
	return err
}

// deployed says what came of a command that had to wait until an app was ready.
func (c *Console) deployed(d *publisher.Deployed, since time.Time) error {
	v := deployedOf(d, time.Since(since))
	return c.Result(v, v.write)
}

type appView struct {
	App      string          `json:"app"`
	Name     string          `json:"name"`
	Stage    publisher.Stage `json:"stage"`
	Phase    string          `json:"phase"`
	URL      string          `json:"url"`
	Provider string          `json:"provider"`
	Endpoint string          `json:"endpoint"`
	Channel  string          `json:"channel"`
	Created  time.Time       `json:"created_at"`
	// Error says why the provider was not heard.
	Error string `json:"error,omitempty"`
}

func appOf(a *publisher.App) appView {
	return appView{
		App: a.ID.String(), Name: a.Name, Stage: a.Stage, URL: a.URL, Provider: a.Provider.Hex(), Endpoint: a.Endpoint,
		Channel: a.Channel.ID.String(), Created: a.CreatedAt,
	}
}

type conditionView struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

type serviceView struct {
	Name     string `json:"name"`
	Ready    uint32 `json:"ready"`
	Wanted   uint32 `json:"wanted"`
	Restarts uint32 `json:"restarts"`
	Blocked  string `json:"blocked,omitempty"`
}

// formerView is a channel that paid for an app before.
type formerView struct {
	Channel  string `json:"channel"`
	Pays     bool   `json:"pays,omitempty"`
	Closed   bool   `json:"closed"`
	Claimed  string `json:"claimed,omitempty"`
	Refunded string `json:"refunded,omitempty"`
}

func (v formerView) String() string {
	switch {
	case v.Closed:
		return fmt.Sprintf("%s  closed, %s base units claimed, %s refunded", v.Channel, v.Claimed, v.Refunded)
	case v.Pays:
		return v.Channel + "  pays until its successor is confirmed"
	}
	return v.Channel + "  is being settled"
}

type statusView struct {
	appView
	Former     []formerView    `json:"former,omitempty"`
	EndReason  string          `json:"end_reason,omitempty"`
	Services   []serviceView   `json:"services"`
	Conditions []conditionView `json:"conditions"`
}

func statusOf(a *publisher.App, st *providerv1.AppStatus) statusView {
	v := statusView{appView: appOf(a), EndReason: publisher.Clean(st.EndReason)}
	v.Phase = publisher.PhaseName(st.Phase)
	if st.Url != "" {
		v.URL = publisher.Clean(st.Url)
	}
	for _, f := range st.Former {
		v.Former = append(v.Former, formerView{fmt.Sprintf("0x%.32x", f.Channel), f.Pays, f.Closed, publisher.Clean(f.Claimed), publisher.Clean(f.Refunded)})
	}
	for _, s := range st.Services {
		v.Services = append(v.Services, serviceView{publisher.Clean(s.Name), s.Ready, s.Wanted, s.Restarts, publisher.Clean(s.Blocked)})
	}
	for _, c := range st.Conditions {
		v.Conditions = append(v.Conditions, conditionView{publisher.Clean(c.Type), publisher.Clean(c.Status), publisher.Clean(c.Reason), publisher.Clean(c.Message)})
	}
	return v
}

func (v statusView) write(out io.Writer) error {
	w := table(out)
	row(w, "app", v.Name+"  "+v.App)
	row(w, "phase", strings.TrimSpace(v.Phase+"  "+v.EndReason))
	row(w, "url", v.URL)
	row(w, "provider", v.Provider)
	row(w, "channel", v.Channel)
	for _, f := range v.Former {
		row(w, "before", f.String())
	}
	for _, s := range v.Services {
		row(w, "service", fmt.Sprintf("%s  %d of %d ready, %d restarts  %s", s.Name, s.Ready, s.Wanted, s.Restarts, s.Blocked))
	}
	for _, c := range v.Conditions {
		row(w, "condition", fmt.Sprintf("%s %s  %s  %s", c.Type, c.Status, c.Reason, c.Message))
	}
	return w.Flush()
}

type usageView struct {
	CPUMilliSeconds      string `json:"cpu_milli_seconds"`
	MemoryByteSeconds    string `json:"memory_byte_seconds"`
	EphemeralByteSeconds string `json:"ephemeral_byte_seconds"`
	StorageByteSeconds   string `json:"storage_byte_seconds"`
	EgressBytes          string `json:"egress_bytes"`
	// Extended are unit seconds of extended resources by name.
	Extended map[string]string `json:"extended_unit_seconds,omitempty"`
}

type tariffView struct {
	CPUHour          tariff.Amount `json:"cpu_hour"`
	MemoryGiBHour    tariff.Amount `json:"memory_gib_hour"`
	EphemeralGiBHour tariff.Amount `json:"ephemeral_gib_hour"`
	StorageGiBHour   tariff.Amount `json:"storage_gib_hour"`
	EgressGiB        tariff.Amount `json:"egress_gib"`
	// UnitHour are prices of extended resources by name.
	UnitHour map[string]tariff.Amount `json:"unit_hour,omitempty"`
}

func tariffOf(t tariff.Tariff) tariffView {
	return tariffView{t.CPUHour, t.MemoryGiBHour, t.EphemeralGiBHour, t.StorageGiBHour, t.EgressGiB, t.UnitHour}
}

func usageOf(u usage.Totals) usageView {
	v := usageView{u.CPU.String(), u.Memory.String(), u.Ephemeral.String(), u.Storage.String(), u.Egress.String(), nil}
	for name, q := range u.Extended {
		if v.Extended == nil {
			v.Extended = map[string]string{}
		}
		v.Extended[name] = q.String()
	}
	return v
}

// resourceView is a line of a bill. A unit is so many parts for so many seconds: those of an hour, or 1 where no time is counted. Amounts are rounded down one by one, so together they may be a little less than what is owed.
type resourceView struct {
	Resource string        `json:"resource"`
	Unit     string        `json:"unit"`
	Quantity string        `json:"quantity"`
	PerUnit  int64         `json:"quantity_per_unit"`
	Seconds  int64         `json:"seconds_per_unit"`
	Price    tariff.Amount `json:"price_per_unit_hour"`
	Amount   tariff.Amount `json:"amount"`
}

type billView struct {
	App     string         `json:"app"`
	Name    string         `json:"name"`
	Channel string         `json:"channel"`
	Token   tokenView      `json:"token"`
	Tariff  tariffView     `json:"tariff"`
	Usage   usageView      `json:"usage"`
	Lines   []resourceView `json:"lines"`
	// Arrears, a part of what is owed, are what channels before this one left unpaid.
	Arrears   tariff.Amount `json:"arrears"`
	Owed      tariff.Amount `json:"owed"`
	Vouchered tariff.Amount `json:"vouchered"`
	Claimed   tariff.Amount `json:"claimed"`
	Deposited tariff.Amount `json:"deposited"`
	Left      tariff.Amount `json:"left"`
	Reserve   tariff.Amount `json:"reserve"`
	Hourly    tariff.Amount `json:"hourly"`
	Runway    int64         `json:"runway_seconds"`
	AccruedTo time.Time     `json:"accrued_to,omitzero"`
	Final     bool          `json:"final"`
	// Signed says that the enclave's own account came with it and holds.
	Signed bool `json:"signed"`
}

func billOf(a *publisher.App, b *publisher.Bill, t publisher.Token) *billView {
	if b == nil {
		return nil
	}
	v := &billView{
		App: a.ID.String(), Name: a.Name, Channel: b.Channel.String(), Token: tokenOf(t), Tariff: tariffOf(b.Tariff), Usage: usageOf(b.Usage),
		Arrears: b.Arrears, Owed: b.Owed, Vouchered: b.Vouchered, Claimed: b.Claimed, Deposited: b.Deposited, Left: b.Left, Reserve: b.Reserve,
		Hourly: b.Hourly, Runway: int64(b.Runway / time.Second), AccruedTo: b.AccruedTo.UTC(), Final: b.Final, Signed: b.Signed != nil,
	}
	for _, l := range b.Tariff.Lines(b.Usage) {
		v.Lines = append(v.Lines, resourceView{l.Resource, l.Unit, l.Quantity.String(), l.PerUnit, l.Seconds, l.Price, l.Amount})
	}
	return v
}

func writeBill(out io.Writer, b *publisher.Bill, t publisher.Token) error {
	w := table(out)
	row(w, "resource", "used\tprice of one\tamount")
	for _, l := range b.Tariff.Lines(b.Usage) {
		row(w, l.Resource, fmt.Sprintf("%s %s\t%s\t%s", publisher.Units(l), l.Unit, t.Format(l.Price), t.Format(l.Amount)))
	}
	if !b.Arrears.IsZero() {
		row(w, "arrears", "\t\t"+t.Format(b.Arrears)+"  (what channels before this one left unpaid)")
	}
	row(w, "owed", t.Format(b.Owed)+"\t(usage × tariff, computed here)")
	row(w, "claimed", t.Format(b.Claimed)+"\t(on chain)")
	row(w, "deposited", t.Format(b.Deposited))
	row(w, "left", t.Format(b.Left)+leftNote(b, t))
	switch {
	case b.Final:
		row(w, "final", "nothing more will be added")
	case !b.Hourly.IsZero():
		row(w, "runway", fmt.Sprintf("%s at %s per hour", publisher.Lasts(b.Runway), t.Format(b.Hourly)))
	}
	if b.Signed != nil {
		row(w, "signed", "by the enclave; apocryph bill -o FILE keeps it")
	}
	countedTo(w, b.AccruedTo)
	return w.Flush()
}

// leftNote says what is kept back of what is left.
func leftNote(b *publisher.Bill, t publisher.Token) string {
	if b.Reserve.IsZero() || b.Final {
		return ""
	}
	return "\t(asleep from " + t.Format(b.Reserve) + " on)"
}

type receiptView struct {
	Event     string        `json:"event"`
	App       string        `json:"app"`
	Name      string        `json:"name"`
	Channel   string        `json:"channel"`
	Token     tokenView     `json:"token"`
	Deposited tariff.Amount `json:"deposited"`
	Claimed   tariff.Amount `json:"claimed"`
	Refunded  tariff.Amount `json:"refunded"`
	CloseTx   string        `json:"close_tx"`
	Bill      *billView     `json:"bill"`
	Former    []pastView    `json:"former,omitempty"`
}

// pastView is what came of a channel that paid for an app before.
type pastView struct {
	Channel   string        `json:"channel"`
	Deposited tariff.Amount `json:"deposited"`
	Claimed   tariff.Amount `json:"claimed"`
	Refunded  tariff.Amount `json:"refunded"`
	Closed    bool          `json:"closed"`
}

func formerText(f publisher.Past, t publisher.Token) string {
	if !f.Closed {
		return fmt.Sprintf("%s is not closed yet: apocryph channel show %s", f.Channel, f.Channel)
	}
	return fmt.Sprintf("%s claimed and %s refunded on channel %s", t.Format(f.Claimed), t.Format(f.Refunded), f.Channel)
}

func receiptOf(r *publisher.Receipt) receiptView {
	v := receiptView{
		Event: "result", App: r.App.ID.String(), Name: r.App.Name, Channel: r.App.Channel.ID.String(), Token: tokenOf(r.Token),
		Deposited: r.Deposited, Claimed: r.Claimed, Refunded: r.Refunded, CloseTx: r.CloseTx, Bill: billOf(r.App, r.Bill, r.Token),
	}
	for _, f := range r.Former {
		v.Former = append(v.Former, pastView{f.Channel.String(), f.Deposited, f.Claimed, f.Refunded, f.Closed})
	}
	return v
}

func writeReceipt(out io.Writer, r *publisher.Receipt) error {
	w := table(out)
	row(w, "app", r.App.Name+" has ended")
	row(w, "deposited", r.Token.Format(r.Deposited))
	row(w, "claimed", r.Token.Format(r.Claimed))
	row(w, "refunded", r.Token.Format(r.Refunded))
	for _, f := range r.Former {
		row(w, "before", formerText(f, r.Token))
	}
	if r.Bill != nil {
		row(w, "owed", r.Token.Format(r.Bill.Owed)+"  (usage × tariff, computed here)")
	}
	row(w, "channel", r.App.Channel.ID.String()+" is closed")
	return w.Flush()
}

func table(out io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(out, 0, 0, 2, ' ', 0) }

func row(w io.Writer, name, value string) { _, _ = fmt.Fprintf(w, "%s\t%s\n", name, value) }
