// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

const dialTime = 2 * time.Second

// dial tries to connect: network and to as in net.Dial, by a device if one is named.
func dial(r *http.Request) (string, error) {
	return worked, dialBy(r.Context(), r.FormValue("network"), r.FormValue("to"), r.FormValue("device"))
}

func dialBy(ctx context.Context, network, to, device string) error {
	dialer := net.Dialer{Timeout: dialTime}
	if device != "" {
		dialer.Control = func(_, _ string, c syscall.RawConn) error {
			var bound error
			err := c.Control(func(fd uintptr) { bound = unix.BindToDevice(int(fd), device) })
			return errors.Join(err, bound)
		}
	}
	conn, err := dialer.DialContext(ctx, network, to)
	if err != nil {
		return err
	}
	return conn.Close()
}

// borrow sends a datagram from an address that is not the pod's.
func borrow(r *http.Request) (string, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var set error
		err := c.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1) })
		return errors.Join(err, set)
	}}
	conn, err := config.ListenPacket(r.Context(), "udp4", r.FormValue("from"))
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	to, err := net.ResolveUDPAddr("udp4", r.FormValue("to"))
	if err != nil {
		return "", err
	}
	_, err = conn.WriteTo([]byte("hello"), to)
	return worked, err
}

// scatter sends so many datagrams, each from a port of its own.
func scatter(r *http.Request) (string, error) {
	n, err := number(r, "count", 10_000)
	if err != nil {
		return "", err
	}
	to, err := net.ResolveUDPAddr("udp4", r.FormValue("to"))
	if err != nil {
		return "", err
	}
	const first = 20_000
	for port := first; port < first+int(n); port++ {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{Port: port})
		if err != nil {
			return "", err
		}
		_, err = conn.WriteTo([]byte("hello"), to)
		if err := errors.Join(err, conn.Close()); err != nil {
			return "", err
		}
	}
	return worked, nil
}

// send sends so many datagrams of so many bytes, whether or not anybody takes them.
func send(r *http.Request) (string, error) {
	n, err := number(r, "count", 10_000)
	if err != nil {
		return "", err
	}
	size, err := number(r, "bytes", 1400)
	if err != nil {
		return "", err
	}
	to, err := net.ResolveUDPAddr("udp4", r.FormValue("to"))
	if err != nil {
		return "", err
	}
	conn, err := net.ListenUDP("udp4", nil) // not connected: a refusal stops nothing
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	for range n {
		if _, err := conn.WriteTo(make([]byte, size), to); err != nil {
			return "", err
		}
	}
	return worked, nil
}

// loopback says what listens on the pod's own loopback: that the attempts' sockets work at all.
func loopback(r *http.Request) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(r.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return worked, dialBy(r.Context(), "tcp", l.Addr().String(), r.FormValue("device"))
}

// lookup asks a name server, or the configured one, and says the answers.
func lookup(r *http.Request) (string, error) {
	kind := dnsmessage.TypeA
	switch r.FormValue("type") {
	case "PTR":
		kind = dnsmessage.TypePTR
	case "SRV":
		kind = dnsmessage.TypeSRV
	}
	m, err := ask(r.Context(), cmp.Or(r.FormValue("network"), "udp"), r.FormValue("server"), r.FormValue("name"), kind)
	if err != nil {
		return "", err
	}
	if m.RCode != dnsmessage.RCodeSuccess {
		return "", errors.New(m.RCode.String())
	}
	var said []string
	for _, a := range m.Answers {
		switch b := a.Body.(type) {
		case *dnsmessage.AResource:
			said = append(said, net.IP(b.A[:]).String())
		case *dnsmessage.PTRResource:
			said = append(said, b.PTR.String())
		case *dnsmessage.SRVResource:
			said = append(said, b.Target.String())
		}
	}
	if said == nil {
		return "", errors.New("no answer in it")
	}
	return strings.Join(said, " "), nil
}

// transfer asks for the whole of a zone.
func transfer(r *http.Request) (string, error) {
	m, err := ask(r.Context(), "tcp", r.FormValue("server"), r.FormValue("name"), dnsmessage.TypeAXFR)
	switch {
	case err != nil:
		return "", err
	case m.RCode != dnsmessage.RCodeSuccess:
		return "", errors.New(m.RCode.String())
	case len(m.Answers) < 2: // a transfer begins with the zone's SOA and goes on
		return "", fmt.Errorf("%d records", len(m.Answers))
	}
	return worked, nil
}

// flood asks a name server many questions at once for a while, and says how many it answered.
func flood(r *http.Request) (string, error) {
	seconds, err := number(r, "seconds", 10)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(r.Context(), time.Duration(seconds)*time.Second)
	defer cancel()
	var (
		mu              sync.Mutex
		asked, answered int
		all             sync.WaitGroup
	)
	for worker := range 32 {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				name := fmt.Sprintf("x%d-%d.%s", worker, n, r.FormValue("name")) // no cache knows it
				_, err := ask(ctx, "udp", r.FormValue("server"), name, dnsmessage.TypeA)
				mu.Lock()
				asked++
				if err == nil {
					answered++
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return fmt.Sprintf("%d of %d", answered, asked), nil
}

func ask(ctx context.Context, network, server, name string, kind dnsmessage.Type) (*dnsmessage.Message, error) {
	of, err := dnsmessage.NewName(strings.TrimSuffix(name, ".") + ".")
	if err != nil {
		return nil, err
	}
	q := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 1, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: of, Type: kind, Class: dnsmessage.ClassINET}},
	}
	packed, err := q.Pack()
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{Timeout: dialTime}).DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(dialTime)); err != nil {
		return nil, err
	}
	answer, err := exchange(conn, network == "tcp", packed)
	if err != nil {
		return nil, err
	}
	m := new(dnsmessage.Message)
	return m, m.Unpack(answer)
}

// exchange sends one message and reads one; streams carry a length before each.
func exchange(conn net.Conn, stream bool, packed []byte) ([]byte, error) {
	if !stream {
		if _, err := conn.Write(packed); err != nil {
			return nil, err
		}
		answer := make([]byte, 4096)
		n, err := conn.Read(answer)
		return answer[:n], err
	}
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	answer := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(conn, answer)
	return answer, err
}
