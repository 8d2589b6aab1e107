// SPDX-License-Identifier: Apache-2.0

// Command gas compares what the channels of this project cost with what three other ways to hold them would: all channels in one contract
// that keeps their terms in three slots each; a minimal proxy (EIP-1167) for each; a contract of its own for each. The others are in
// designs/, have the same features, and are compiled alike. It counts the gas of whole transactions, from the receipts of a simulated
// chain, under mainnet's present rules and under the next fork's, and fails if this project misses its own aims.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/apocryph/apocryph/internal/gen/channels"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench/gas:", err)
		os.Exit(1)
	}
}

// contestant is a design with the head of its column.
type contestant struct {
	name string
	design
}

// contestants returns fresh ones, this project's first.
func contestants() ([]contestant, error) {
	var loaded [5]artifact
	for i, name := range []string{"Slots", "CloneFactory", "CloneChannel", "ApartFactory", "ApartChannel"} {
		var err error
		if loaded[i], err = load(name); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return []contestant{
		{"one slot each", &ours{bin: channels.ChannelsMetaData.Bin}},
		{"three slots each", &slots{entry{artifact: loaded[0]}}},
		{"a proxy each", &clones{entry{artifact: loaded[1]}, loaded[2]}},
		{"a contract each", &apart{entry{artifact: loaded[3]}, loaded[4]}},
	}, nil
}

// aims are the most that this project's rows may be under today's rules.
func aims() map[string]uint64 { return map[string]uint64{rowOpen: 75_000, rowBatch50: 19_000} }

func run(ctx context.Context, out io.Writer) error {
	var missed []error
	for i, f := range forks() {
		all, err := contestants()
		if err != nil {
			return err
		}
		results := make([]map[string]uint64, len(all))
		for j, c := range all {
			if results[j], err = measure(ctx, f, c.design); err != nil {
				return fmt.Errorf("%s, %s: %w", f.name, c.name, err)
			}
		}
		if err := table(out, f, all, results); err != nil {
			return err
		}
		for row, aim := range aims() {
			if got := results[0][row]; i == 0 && got > aim {
				missed = append(missed, fmt.Errorf("%s: %d gas, %d is the aim", row, got, aim))
			}
		}
	}
	return errors.Join(missed...)
}

// table prints gas, and for the others how many times this project's it is.
func table(out io.Writer, f fork, all []contestant, results []map[string]uint64) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) } // Flush tells of errors
	say("%s\t", f.name)
	for _, c := range all {
		say("%s\t", c.name)
	}
	say("\n")
	for _, row := range rows() {
		base := results[0][row]
		say("%s\t%d\t", row, base)
		for _, r := range results[1:] {
			say("%d ×%.2f\t", r[row], float64(r[row])/float64(base))
		}
		say("\n")
	}
	say("\n")
	return w.Flush()
}
