// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/template"
)

// envFile is a file of lines NAME=value.
type envFile struct {
	// name is what it is called in messages.
	name    string
	content []byte
	// format is raw where nothing in it is to be filled in.
	format string
}

// readInto adds the file's variables to vars. It returns Problems if one of its values has a variable that is not there: the value would
// be cut short without a word, as is a password that has a dollar sign.
func (e envFile) readInto(vars map[string]string, get func(string) (string, bool)) error {
	if fillingCost(string(e.content)) > maxFilling {
		return fmt.Errorf("it has %d variables in %d bytes, more than can be filled in", variablesIn(string(e.content)), len(e.content))
	}
	if e.format == "" {
		if ps := e.unset(vars, get); len(ps) > 0 {
			return ps
		}
	}
	b := budget{}
	err := b.check(dotenv.ParseWithFormat(bytes.NewReader(e.content), e.name, vars, b.lookup(get), e.format))
	if err == nil {
		return nil
	}
	m := regexp.MustCompile(`line (\d+): (.*)$`).FindStringSubmatch(firstLine(err))
	if m == nil {
		return err
	}
	line, _ := strconv.Atoi(m[1])
	message := m[2]
	for begins, said := range map[string]string{ // what a value has is nobody's business
		"key cannot contain a space": "a name has a space in it", "unterminated quoted value": "a quote is opened and never closed", "unexpected character": "a name has a character that names can't have",
	} {
		if strings.HasPrefix(m[2], begins) {
			message = said
		}
	}
	return Problems{{File: e.name, Line: line, Column: 1, Message: message, Remedy: "write lines of the form NAME=value, with '…' around a value that has a dollar sign"}}
}

// unset finds the variables within values that have none themselves and no default.
func (e envFile) unset(vars map[string]string, get func(string) (string, bool)) Problems {
	var found Problems
	assignment := regexp.MustCompile(`^\s*(?:export\s+)?([A-Za-z0-9_.\[\]-]+)\s*[=:]\s*(.*)$`)
	known := maps.Clone(vars)
	if known == nil {
		known = map[string]string{}
	}
	name, quote := "", ""
	for n, line := range strings.Split(string(e.content), "\n") {
		value := line
		if quote == "" {
			m := assignment.FindStringSubmatch(line)
			if m == nil || strings.HasPrefix(strings.TrimSpace(line), "#") {
				continue
			}
			name, value = m[1], m[2]
			if strings.HasPrefix(value, `"`) || strings.HasPrefix(value, "'") {
				quote, value = value[:1], value[1:]
			} else {
				value, _, _ = strings.Cut(value, " #")
			}
		}
		value, closed := untilQuote(value, quote)
		if quote == `"` {
			value = strings.ReplaceAll(value, `\$`, "$$")
		}
		if quote != "'" {
			for _, missing := range missingIn(value, func(name string) (string, bool) {
				if v, ok := known[name]; ok {
					return v, true
				}
				return get(name)
			}) {
				found = append(found, Problem{
					File: e.name, Line: n + 1, Column: 1, Key: name, Message: fmt.Sprintf("variable %s is not set", missing),
					Remedy: "quote the value with '…' or write $$ if it has a dollar sign, or else set " + missing,
				})
			}
		}
		if quote == "" || closed {
			known[name], quote = "x", "" // what it is does not matter
		}
	}
	return found
}

// missingIn are the variables without a value that a text would have something of.
func missingIn(text string, get func(string) (string, bool)) []string {
	const mark = "\x01"
	asked := text
	text, err := template.SubstituteWithOptions(strings.ReplaceAll(text, mark, ""), func(name string) (string, bool) {
		switch v, ok := get(name); {
		case !ok:
			return mark + name + mark, false
		case v == "":
			return "", true
		}
		return "x", true
	}, template.WithoutLogging)
	if err != nil {
		return nil // reading it says so
	}
	var names []string
	for i, part := range strings.Split(text, mark) {
		if i%2 == 1 && !strings.Contains(asked, "${"+part+"+") && !strings.Contains(asked, "${"+part+":+") {
			names = append(names, part)
		}
	}
	return names
}

// untilQuote is what a line has before the quote that ends a value, and whether there is one.
func untilQuote(line, quote string) (string, bool) {
	for i := 0; i < len(line) && quote != ""; i++ {
		switch line[i : i+1] {
		case `\`:
			i++
		case quote:
			return line[:i], true
		}
	}
	return line, false
}

// ReadVariables adds the variables of a file in the form of .env to env, whose own win. It returns Problems where a value has a variable
// that is not set.
func ReadVariables(file string, content []byte, env map[string]string) error {
	vars := map[string]string{}
	err := envFile{file, content, ""}.readInto(vars, func(k string) (string, bool) {
		if v, ok := env[k]; ok {
			return v, true
		}
		v, ok := vars[k]
		return v, ok
	})
	if err != nil {
		return err
	}
	for k, v := range vars {
		if _, set := env[k]; !set {
			env[k] = v
		}
	}
	return nil
}

// readVariables adds the variables of a file to those that there are, which win.
func (r *reader) readVariables(path string, env map[string]string) error {
	content, err := r.read(path)
	if err != nil {
		return err
	}
	return ReadVariables(r.shown(path), content, env)
}

// envProblems is what is wrong with an env file: where it says that itself, or else at the place that names it.
func envProblems(err error, otherwise Problem) Problems {
	var ps Problems
	if errors.As(err, &ps) {
		return ps
	}
	return Problems{otherwise}
}
