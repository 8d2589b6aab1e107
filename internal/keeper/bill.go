// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/account"
	"github.com/apocryph/apocryph/internal/channel"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/ledger"
	"github.com/apocryph/apocryph/internal/metered"
	"github.com/apocryph/apocryph/internal/tariff"
)

// errBook says that what was fixed of an app's earlier channels is missing or not as it was signed. Nothing is signed then: on which channel
// usage is due is not known.
var errBook = errors.New("the accounts of earlier channels")

// bill signs what is due on the channels of the newest verified order. A later spec that was refused changes nothing: what was ordered
// before goes on running, and is paid for.
func (r *reconciler) bill(ctx context.Context, app *v1alpha1.App, u *v1alpha1.Usage) (reconcile.Result, error) {
	m := r.recall(app.Name)
	if m.order == nil || u == nil {
		return reconcile.Result{}, nil
	}
	row := m.order.row()
	book, err := r.book(m, row, u.Status)
	if err != nil {
		return reconcile.Result{}, reconcile.TerminalError(fmt.Errorf("app %s: %w", app.Name, err))
	}
	used, err := metered.Accrued(u.Status)
	if err != nil {
		return reconcile.Result{}, reconcile.TerminalError(fmt.Errorf("usage of app %s: %w", app.Name, err))
	}
	end := ledger.Moment{Used: used, To: accruedTo(u.Status), Sequence: r.nextSequence(m)}
	next := turn(book, row, end, u.Status.Final, witnessed(app.Status), r.now())
	owed := next.Now(row[next.Len()].Payer, used, end.To)
	owed.Final = u.Status.Final
	stated := owed
	stated.Usage = row[next.Len()].Prices.Priced(owed.Usage)
	r.state(app.Name, stated)
	return r.sign(ctx, u, m, row, next, owed)
}

func accruedTo(s v1alpha1.UsageStatus) time.Time {
	if s.AccruedTo == nil {
		return time.Time{}
	}
	return s.AccruedTo.Time
}

// nextSequence is for an account that is signed now.
func (k *Keeper) nextSequence(m memory) uint64 {
	next := uint64(max(k.now().UnixMicro(), 0))
	if m.stated != nil {
		next = max(next, m.stated.Sequence+1)
	}
	return next
}

// witness is what the invoicer says that it saw on chain.
type witness struct {
	// confirmed is the channel that it takes for the one that pays.
	confirmed channel.ID
	// closed are channels before it that are closed for good, with what was claimed on each.
	closed map[channel.ID]tariff.Amount
}

// witnessed leaves out what it can't read: that is as if it were not said.
func witnessed(s v1alpha1.AppStatus) witness {
	w := witness{closed: map[channel.ID]tariff.Amount{}}
	if s.Funds != nil {
		if id, err := channel.ParseID(s.Funds.Channel); err == nil {
			w.confirmed = id
		}
	}
	for _, f := range s.Former {
		id, err1 := channel.ParseID(f.Channel)
		claimed, err2 := tariff.ParseAmount(f.Claimed)
		if f.Closed && err1 == nil && err2 == nil {
			w.closed[id] = claimed
		}
	}
	return w
}

// turn has the next channel pay once it is confirmed, and fixes what closed ones left unpaid. An app that has ended waits for no confirmation:
// what was ordered and never seen is released at nothing.
func turn(book ledger.Ledger, row []pays, end ledger.Moment, final bool, w witness, now time.Time) ledger.Ledger {
	place, payers := book.Len(), payersOf(row)
	ends := map[channel.ID]ledger.Closing{}
	for i, p := range row {
		if p.Channel == w.confirmed || final {
			place = max(place, i)
		}
		if claimed, ok := w.closed[p.Channel]; ok {
			ends[p.Channel] = ledger.Closing{Claimed: claimed, Most: p.most(now)}
		}
	}
	next := book.Follow(payers, place, end)
	return next.Settle(payers[next.Len()], ends)
}

func payersOf(row []pays) []ledger.Payer {
	all := make([]ledger.Payer, 0, len(row))
	for _, p := range row {
		all = append(all, p.Payer)
	}
	return all
}

// book is what was fixed of the channels before: as it is remembered, or else as it was written and signed. It returns errBook if that is not
// whole.
func (k *Keeper) book(m memory, row []pays, s v1alpha1.UsageStatus) (ledger.Ledger, error) {
	written, err := k.readBook(row, s.Former)
	known := m.book
	switch {
	case err != nil && known.Len() == 0:
		return ledger.Ledger{}, err
	case err == nil && (written.Len() > known.Len() || written.Len() == known.Len() && settled(written) > settled(known)):
		known = written
	}
	if s.Voucher == nil {
		return known, nil
	}
	for i, p := range row {
		if i > known.Len() && signedTotal(s.Voucher, p.Channel, voucherOf(p.Channel), k.cfg.Domain, k.cfg.Keys.Signer()) != nil {
			return ledger.Ledger{}, fmt.Errorf("%w: channel %s pays already, and %d of those before it have none", errBook, p.Channel, i-known.Len())
		}
	}
	return known, nil
}

func settled(l ledger.Ledger) (n int) {
	for _, line := range l.Lines() {
		if line.Arrears != nil {
			n++
		}
	}
	return n
}

// readBook reads what was written, and believes only what this enclave signed.
func (k *Keeper) readBook(row []pays, written []v1alpha1.FormerAccount) (ledger.Ledger, error) {
	signer := k.cfg.Keys.Signer()
	var lines []ledger.Line
	for _, f := range written {
		a, err := account.Verify(&orderv1.SignedAccount{Account: f.Account, Signature: f.Signature}, signer)
		if err != nil {
			return ledger.Ledger{}, fmt.Errorf("%w: channel %.80s: %w", errBook, f.Channel, err)
		}
		line := ledger.Line{Account: a}
		if len(f.Arrears) > 0 {
			var s orderv1.SignedArrears
			if err := proto.Unmarshal(f.Arrears, &s); err != nil {
				return ledger.Ledger{}, fmt.Errorf("%w: the arrears of channel %.80s are unreadable", errBook, f.Channel)
			}
			arrears, err := account.VerifyArrears(&s, signer)
			if err != nil {
				return ledger.Ledger{}, fmt.Errorf("%w: the arrears of channel %.80s: %w", errBook, f.Channel, err)
			}
			line.Arrears = &arrears
		}
		lines = append(lines, line)
	}
	book, err := ledger.New(lines, payersOf(row))
	if err != nil {
		return ledger.Ledger{}, fmt.Errorf("%w: %w", errBook, err)
	}
	return book, nil
}

// sign signs what is due on each channel and writes it, all in one: where the bill of one channel ends, its last voucher and its release, and
// what is due on the next. Totals and the book are remembered before a signature is let out.
func (r *reconciler) sign(ctx context.Context, u *v1alpha1.Usage, m memory, row []pays, book ledger.Ledger, owed account.Account) (reconcile.Result, error) {
	was := u.Status
	next := v1alpha1.UsageStatus{}
	var count struct{ vouchers, releases int }
	put := func(a standing, d due, voucher, release **v1alpha1.Voucher) error {
		for _, s := range []struct {
			total *tariff.Amount
			what  func(tariff.Amount) channel.Digester
			to    **v1alpha1.Voucher
			count *int
		}{
			{d.voucher, voucherOf(a.channel), voucher, &count.vouchers},
			{d.release, releaseOf(a.channel), release, &count.releases},
		} {
			if s.total == nil {
				continue
			}
			signature, err := channel.Sign(s.what(*s.total), r.cfg.Domain, r.cfg.Keys.voucher)
			if err != nil {
				return err
			}
			*s.to = &v1alpha1.Voucher{Channel: a.channel.String(), Total: s.total.String(), Signature: signature}
			*s.count++
		}
		return nil
	}
	for i, line := range book.Lines() {
		f, err := r.former(line)
		if err != nil {
			return reconcile.Result{}, err
		}
		a := r.standing(m, row[i], was, line.Account.Total)
		a.final = true
		f.Voucher, f.Release = a.papers.voucher, a.papers.release
		if err := put(a, decide(a, 0, r.now()), &f.Voucher, &f.Release); err != nil {
			return reconcile.Result{}, err
		}
		next.Former = append(next.Former, f)
	}
	a := r.standing(m, row[book.Len()], was, owed.Total)
	// What a channel before this one left unpaid is due on this one, so it is not released before that is known.
	a.final = was.Final && book.Settled()
	d := decide(a, r.cfg.VoucherEvery, r.now())
	next.Voucher, next.Release = a.papers.voucher, a.papers.release // what an apply leaves out goes away
	if err := put(a, d, &next.Voucher, &next.Release); err != nil {
		return reconcile.Result{}, err
	}
	turned := !equality.Semantic.DeepEqual(next.Former, was.Former)
	if d.voucher == nil && d.release == nil && !turned {
		return reconcile.Result{RequeueAfter: d.wait}, nil
	}
	r.remember(u.Name, func(m *memory) {
		m.book = book
		if total := cmpLast(d.voucher, d.release); total != nil {
			m.signed, m.signedOn, m.signedAt = *total, a.channel, r.now()
		}
	})
	to := metav1.ObjectMeta{Namespace: u.Namespace, Name: u.Name}
	if turned {
		to.ResourceVersion = u.ResourceVersion // an enclave before this one may have written it meanwhile
	}
	err := kube.ApplyStatus(ctx, r.client, &v1alpha1.Usage{ObjectMeta: to, Status: next}, statusOwner)
	if apierrors.IsConflict(err) {
		r.remember(u.Name, func(n *memory) { n.book = m.book }) // it was not written for sure, and nothing is out
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	r.count.vouchers.Add(float64(count.vouchers))
	r.count.releases.Add(float64(count.releases))
	r.tell(u, next)
	return reconcile.Result{RequeueAfter: d.wait}, nil
}

func cmpLast(voucher, release *tariff.Amount) *tariff.Amount {
	if release != nil {
		return release
	}
	return voucher
}

// tell logs what does not happen every tick.
func (r *reconciler) tell(u *v1alpha1.Usage, next v1alpha1.UsageStatus) {
	if next.Release != nil && u.Status.Release == nil {
		r.log.Info("release signed", "app", u.Name, "channel", next.Release.Channel, "total", next.Release.Total)
	}
	for _, f := range next.Former[min(len(u.Status.Former), len(next.Former)):] {
		r.log.Info("channel followed by another", "app", u.Name, "channel", f.Channel)
	}
}

// former is the wire form of a line.
func (k *Keeper) former(line ledger.Line) (v1alpha1.FormerAccount, error) {
	f := v1alpha1.FormerAccount{Channel: line.Account.Channel.String()}
	signed, err := account.Sign(line.Account, k.cfg.Keys.voucher)
	if err != nil {
		return f, err
	}
	f.Account, f.Signature = signed.Account, signed.Signature
	if line.Arrears == nil {
		return f, nil
	}
	arrears, err := account.SignArrears(*line.Arrears, k.cfg.Keys.voucher)
	if err != nil {
		return f, err
	}
	if f.Arrears, err = (proto.MarshalOptions{Deterministic: true}).Marshal(arrears); err != nil {
		return f, fmt.Errorf("encoding arrears: %w", err)
	}
	return f, nil
}

// papers are a voucher and a release as they lie in an object, nil where the signature is not ours.
type papers struct{ voucher, release *v1alpha1.Voucher }

// standing is how one channel is: what is owed on it, and what was signed.
func (r *reconciler) standing(m memory, p pays, s v1alpha1.UsageStatus, owed tariff.Amount) standing {
	a := standing{channel: p.Channel, owed: owed, most: p.most(r.now())}
	all := []papers{{s.Voucher, s.Release}}
	for _, f := range s.Former {
		all = append(all, papers{f.Voucher, f.Release})
	}
	for _, at := range all {
		if total := signedTotal(at.voucher, p.Channel, voucherOf(p.Channel), r.cfg.Domain, r.cfg.Keys.Signer()); total != nil && a.voucher == nil {
			a.voucher, a.papers.voucher = total, at.voucher
		}
		if total := signedTotal(at.release, p.Channel, releaseOf(p.Channel), r.cfg.Domain, r.cfg.Keys.Signer()); total != nil && a.release == nil {
			a.release, a.papers.release = total, at.release
		}
	}
	if m.signedOn == p.Channel {
		a.signed, a.signedAt = m.signed, m.signedAt
	}
	return a
}
