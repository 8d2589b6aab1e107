// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// Accounts are what an image calls its users and groups: its /etc/passwd and /etc/group, nil where it has none.
type Accounts struct{ Passwd, Group []byte }

const (
	nobodyAskedUser  = "which number that is will be read from the image at deploy"
	numbersRemedy    = "write user: UID or UID:GID in numbers, or names that the image has"
	numbersRemedyAdd = "write the group's number, or a name that the image has"
)

// account is a line of /etc/passwd, or of /etc/group, where group is not set.
type account struct {
	name      string
	id, group int64
	members   []string
}

// accountsOf reads lines of name:password:number:…; those without a number are no accounts. Of several of one name the first counts.
func accountsOf(content []byte, isGroup bool) []account {
	var all []account
	for line := range strings.Lines(string(content)) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) < 3 || fields[0] == "" || strings.HasPrefix(line, "#") {
			continue
		}
		a := account{name: fields[0]}
		var err error
		if a.id, err = strconv.ParseInt(fields[2], 10, 64); err != nil || a.id < 0 {
			continue
		}
		switch {
		case isGroup && len(fields) > 3:
			a.members = strings.Split(fields[3], ",")
		case !isGroup && len(fields) > 3:
			if a.group, err = strconv.ParseInt(fields[3], 10, 64); err != nil || a.group < 0 {
				continue
			}
		}
		all = append(all, a)
	}
	return all
}

func (f *File) namesAccounts(name string) bool {
	s := f.project.Services[name]
	user, group, _ := strings.Cut(s.User, ":")
	isName := func(text string) bool { _, isNumber := idOf(text); return text != "" && !isNumber }
	return isName(user) || isName(group) || slices.ContainsFunc(s.GroupAdd, func(g string) bool { return isName(strings.TrimSpace(g)) })
}

// readAccounts asks for the image's accounts if the service names any.
func (f *File) readAccounts(ctx context.Context, name string, img *Image) error {
	switch {
	case img.Unseen || !f.namesAccounts(name):
		return nil
	case img.ReadAccounts == nil:
		return errors.New("nobody can read its users and groups")
	}
	a, err := img.ReadAccounts(ctx)
	if err != nil {
		return fmt.Errorf("reading its users and groups: %w", err)
	}
	img.accounts = &a
	return nil
}

// idOf reads a number, or root, which is 0 everywhere.
func idOf(text string) (int64, bool) {
	if text == "root" {
		return 0, true
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return -1, true
	}
	return n, err == nil
}

// identity is whom the process runs as. What is given by name is looked up in the image, as Docker does: a user who comes without a group
// has the primary one, and is in those that list it. Without an image a name is taken for granted.
func (c *serviceCheck) identity(s types.ServiceConfig, img *Image) (user, group *int64, groups []int64) {
	name, groupName, _ := strings.Cut(s.User, ":")
	if s.User != "" {
		var primary *int64
		if user, primary, groups = c.user(name, img); groupName != "" {
			primary, groups = c.group(groupName, img, "user"), nil
		}
		group = primary
	}
	for i, g := range s.GroupAdd {
		if n := c.group(strings.TrimSpace(g), img, "group_add", strconv.Itoa(i)); n != nil {
			groups = append(groups, *n)
		}
	}
	slices.Sort(groups)
	return user, group, slices.Compact(groups)
}

// user is a user's number. Of one that is given by name it is the primary group, too, and the others.
func (c *serviceCheck) user(name string, img *Image) (id, primary *int64, others []int64) {
	if n, ok := idOf(name); ok {
		return c.withinIDs(n, name, numbersRemedy, "user"), nil, nil
	}
	if name == "" {
		c.problem("it has no user", numbersRemedy, "user")
		return nil, nil, nil
	}
	if img == nil || img.accounts == nil {
		c.note(fmt.Sprintf("user %.80q: %s", name, nobodyAskedUser), "user")
		return nil, nil, nil
	}
	users := accountsOf(img.accounts.Passwd, false)
	i := slices.IndexFunc(users, func(a account) bool { return a.name == name })
	if i < 0 {
		c.unknownAccount("user", name, "/etc/passwd", img.accounts.Passwd, users, "user")
		return nil, nil, nil
	}
	id, primary = c.withinIDs(users[i].id, name, numbersRemedy, "user"), c.withinIDs(users[i].group, name+"'s group", numbersRemedy, "user")
	for _, g := range accountsOf(img.accounts.Group, true) {
		if slices.Contains(g.members, name) {
			if n := c.withinIDs(g.id, "group "+g.name, numbersRemedy, "user"); n != nil {
				others = append(others, *n)
			}
		}
	}
	return id, primary, others
}

func (c *serviceCheck) group(name string, img *Image, at ...string) *int64 {
	if n, ok := idOf(name); ok {
		return c.withinIDs(n, name, numbersRemedyAdd, at...)
	}
	if name == "" {
		c.problem("it names no group", numbersRemedyAdd, at...)
		return nil
	}
	if img == nil || img.accounts == nil {
		c.note(fmt.Sprintf("group %.80q: %s", name, nobodyAskedUser), at...)
		return nil
	}
	groups := accountsOf(img.accounts.Group, true)
	i := slices.IndexFunc(groups, func(a account) bool { return a.name == name })
	if i < 0 {
		c.unknownAccount("group", name, "/etc/group", img.accounts.Group, groups, at...)
		return nil
	}
	return c.withinIDs(groups[i].id, name, numbersRemedyAdd, at...)
}

func (c *serviceCheck) withinIDs(n int64, called, remedy string, at ...string) *int64 {
	if n < 0 || n > maxID {
		text := fmt.Sprintf("%.80q is no number from 0 to %d", called, maxID)
		if _, isNumber := idOf(called); !isNumber {
			text = fmt.Sprintf("%.80q is number %d in the image, and numbers go from 0 to %d here", called, n, maxID)
		}
		c.problem(text, remedy, at...)
		return nil
	}
	return &n
}

// unknownAccount says that an image knows no such name, and some that it knows.
func (c *serviceCheck) unknownAccount(kind, name, file string, content []byte, known []account, at ...string) {
	image := c.f.project.Services[c.name].Image
	if content == nil {
		c.problem(fmt.Sprintf("image %s has no %s, so no %s is called %.80q there", image, file, kind, name), fmt.Sprintf("write the %s's number", kind), at...)
		return
	}
	// Who made the image adds accounts at the end.
	var names []string
	for _, a := range known[max(0, len(known)-3):] {
		names = append(names, fmt.Sprintf("%.40q", a.name))
	}
	remedy := fmt.Sprintf("write the %s's number", kind)
	if len(names) > 0 {
		remedy += ", or a name that it has, as " + strings.Join(names, ", ")
	}
	c.problem(fmt.Sprintf("image %s has no %s %.80q", image, kind, name), remedy, at...)
}
