// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// WebhookPort is where a webhook listens whose URL names no port.
const WebhookPort = 443

// What is wrong with a URL. None of them has any of it in its text: it may be a secret.
var (
	ErrWebhookLong     = errors.New("the URL is longer than 2048 bytes")
	ErrWebhookURL      = errors.New("that is no URL")
	ErrWebhookScheme   = errors.New("the URL does not begin with https://")
	ErrWebhookUser     = errors.New("the URL has a user or a password before its host")
	ErrWebhookFragment = errors.New("the URL has a fragment (#), which is never sent")
	ErrWebhookHost     = errors.New("the URL's host is neither a name nor an address")
	ErrWebhookPort     = errors.New("the URL's port is none")
)

// hostPattern is a DNS name in either case, underscores included. That its last label is a number is ruled out apart.
const hostPattern = `^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?$`

const maxHost = 253

// Webhook is what may be shown of one, and where it is dialled.
type Webhook struct {
	// Host is a DNS name in lower case, or an address.
	Host string
	// Address is the host where it is an address, else invalid.
	Address netip.Addr
	Port    uint16
}

// ParseWebhook reads a webhook's URL, or returns one of the ErrWebhook errors. It has one meaning for everybody who reads it: printable ASCII,
// and an address only in its usual form.
func ParseWebhook(text string) (Webhook, error) {
	if len(text) > MaxWebhook {
		return Webhook{}, ErrWebhookLong
	}
	if text == "" || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }) {
		return Webhook{}, ErrWebhookURL
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "":
		return Webhook{}, ErrWebhookURL
	case u.Scheme != "https":
		return Webhook{}, ErrWebhookScheme
	case u.User != nil:
		return Webhook{}, ErrWebhookUser
	case strings.Contains(text, "#"):
		return Webhook{}, ErrWebhookFragment
	}
	w := Webhook{Host: strings.ToLower(u.Hostname()), Port: WebhookPort}
	if w.Address, err = netip.ParseAddr(w.Host); err != nil && !isName(w.Host) || w.Address.Zone() != "" {
		return Webhook{}, ErrWebhookHost
	}
	if p := u.Port(); p != "" || strings.HasSuffix(u.Host, ":") {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return Webhook{}, ErrWebhookPort
		}
		w.Port = uint16(n)
	}
	return w, nil
}

// isName reports whether a host is a DNS name. One that ends in a number could be read as an address, as in 127.1.
func isName(host string) bool {
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	_, err := strconv.ParseUint(labels[len(labels)-1], 0, 64)
	return err != nil && len(host) <= maxHost && regexp.MustCompile(hostPattern).MatchString(host)
}
