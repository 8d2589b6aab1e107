// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/p2p/net/gostream"

	"github.com/apocryph/apocryph/internal/fault"
)

// Errors of Dial.
var (
	// ErrAddr says that a text is no multiaddr with a transport and a peer id (/ip4/…/tcp/…/p2p/…).
	ErrAddr = errors.New("not a multiaddr with a peer id")
	// ErrWrongPeer says that what answers at a multiaddr has another key than the peer id in it.
	ErrWrongPeer = errors.New("another peer answers there")
	// ErrUnreachable says that nothing answered at a multiaddr.
	ErrUnreachable = errors.New("peer is unreachable")
	// ErrProtocol says that the peer speaks no version of the protocol that this program does.
	ErrProtocol = errors.New("the peer speaks another protocol")
)

// Client speaks HTTP to one peer over a host, whose key is what the peer sees as the caller. It dials again by itself after a
// connection was lost. It is safe for concurrent use.
type Client struct {
	*http.Client
	id peer.ID
}

// CheckAddr returns ErrAddr unless s is a multiaddr with a peer id.
func CheckAddr(s string) error {
	_, err := parseAddr(s)
	return err
}

// Dial connects to the peer at a multiaddr with a peer id, and proves that it has that id before anything is sent. It returns ErrAddr,
// ErrWrongPeer, ErrUnreachable or ErrProtocol.
func (h *Host) Dial(ctx context.Context, addr string) (*Client, error) {
	info, err := parseAddr(addr)
	if err != nil {
		return nil, err
	}
	h.host.Peerstore().AddAddrs(info.ID, info.Addrs, peerstore.PermanentAddrTTL)
	if err := h.host.Connect(ctx, info); err != nil {
		if mismatch := new(sec.ErrPeerIDMismatch); errors.As(err, mismatch) {
			return nil, fmt.Errorf("dialing %s: its peer id is %s: %w", addr, mismatch.Actual, ErrWrongPeer)
		}
		return nil, fmt.Errorf("dialing %s: %w: %w", addr, ErrUnreachable, err)
	}
	if other := h.otherVersions(info.ID); other != "" {
		err := fmt.Errorf("dialing %s: it speaks %s, not %s: %w", addr, other, Protocol, ErrProtocol)
		return nil, fault.Hint(err, "this program and the provider are of versions that don't go together: update the older one")
	}
	var cleartext http.Protocols
	cleartext.SetUnencryptedHTTP2(true)
	return &Client{id: info.ID, Client: &http.Client{Transport: &http.Transport{
		Protocols:       &cleartext,
		HTTP2:           &http.HTTP2Config{SendPingTimeout: pingTime, PingTimeout: pingTime},
		IdleConnTimeout: idleTime,
		// The URL's host is not asked for: every request goes to the one peer.
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return gostream.Dial(ctx, h.host, info.ID, Protocol)
		},
	}}}, nil
}

// otherVersions lists the versions of Protocol that a connected peer speaks, if ours is not among them. Connecting waited for the peer to
// tell; one that told of none is no provider, which the first request finds out.
func (h *Host) otherVersions(id peer.ID) string {
	spoken, err := h.host.Peerstore().GetProtocols(id)
	if err != nil || slices.Contains(spoken, Protocol) {
		return ""
	}
	name, _ := path.Split(string(Protocol))
	var list []string
	for _, p := range spoken {
		if strings.HasPrefix(string(p), name) && len(p) < 60 && len(list) < 5 {
			list = append(list, strconv.QuoteToASCII(string(p)))
		}
	}
	return strings.Join(list, ", ")
}

// Peer is the peer id of the other side in binary form.
func (c *Client) Peer() string { return string(c.id) }

// URL is the base URL for requests.
func (c *Client) URL() string { return "http://" + c.id.String() }

// Close ends idle connections.
func (c *Client) Close() { c.CloseIdleConnections() }
