// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// ErrUnfit says that a required check fails.
var ErrUnfit = errors.New("a required check fails")

// ErrUnseen says that no required check is known to fail, but one could not be made.
var ErrUnseen = errors.New("a required check could not be made")

// Sum is nil when every required check passed, ErrUnfit or ErrUnseen else.
func Sum(found []Finding) error {
	var unseen error
	for _, f := range found {
		switch {
		case f.Required && f.Result == Fail:
			return ErrUnfit
		case f.Required && f.Result == Unseen:
			unseen = ErrUnseen
		}
	}
	return unseen
}

// Table writes findings for people.
func Table(to io.Writer, found []Finding) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	_, err := fmt.Fprintln(w, "CHECK\tRESULT\t\tSAW")
	for _, f := range found {
		_, e := fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", f.Name, f.Result, f.level(), line(f.Saw))
		err = errors.Join(err, e)
		if f.Result == Warn || f.Result == Fail { // of what is unseen, what was seen says what is in the way
			_, e = fmt.Fprintf(w, "\t\t\tto do: %s\n", f.Do)
			err = errors.Join(err, e)
		}
	}
	return errors.Join(err, w.Flush())
}

func (f Finding) level() string {
	if f.Required {
		return "required"
	}
	return "advisory"
}

func line(s string) string { return strings.Join(strings.Fields(s), " ") }

// JSON writes findings for programs.
func JSON(to io.Writer, found []Finding) error {
	type site struct {
		Machine string `json:"machine"`
		Result  Result `json:"result"`
		Saw     string `json:"saw"`
	}
	type row struct {
		Check    string `json:"check"`
		Required bool   `json:"required"`
		Result   Result `json:"result"`
		Saw      string `json:"saw"`
		Do       string `json:"do"`
		Machines []site `json:"machines,omitempty"`
	}
	out := struct {
		Fit    bool  `json:"fit"`
		Checks []row `json:"checks"`
	}{Fit: Sum(found) == nil, Checks: make([]row, 0, len(found))}
	for _, f := range found {
		r := row{f.Name, f.Required, f.Result, f.Saw, f.Do, nil}
		for _, s := range f.Sights {
			r.Machines = append(r.Machines, site{s.Machine, s.Result, s.Saw})
		}
		out.Checks = append(out.Checks, r)
	}
	return json.NewEncoder(to).Encode(out)
}

// Guide is the list of checks as a table in Markdown.
func Guide() string {
	b := &strings.Builder{}
	b.WriteString("| check | | it passes when | what to do |\n|---|---|---|---|\n")
	for _, k := range Checks() {
		level := "required"
		if k.required != nil {
			level = "required unless turned off"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", k.Name, level, k.Asks, k.Do)
	}
	return b.String()
}
