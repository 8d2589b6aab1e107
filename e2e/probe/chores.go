// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// patience outlasts a name server's answer that got lost: resolvers ask again after five seconds.
const patience = 30 * time.Second

// chore is what the probe does when it is no server: a health check, or work that ends.
func chore(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "ask": // a URL that has to answer 200
		return visit(args[1])
	case len(args) == 3 && args[0] == "tell": // an address that accepts connections from one that does not
		return tell(context.Background(), args[1], args[2])
	case len(args) == 3 && args[0] == "last": // so many seconds, and end with a code
		code, err := strconv.Atoi(args[2])
		if err := errors.Join(err, stay(args[1])); err != nil {
			return err
		}
		os.Exit(code)
	case len(args) == 3 && args[0] == "overfill": // its own disk after so many seconds, with so many MiB, and wait for what comes of it
		return overfill(args[1], args[2])
	case len(args) == 3 && args[0] == "end": // with a code, after last words
		fmt.Println(args[2])
		code, err := strconv.Atoi(args[1])
		if err == nil {
			os.Exit(code)
		}
		return err
	}
	return fmt.Errorf("the probe does not know %q", args)
}

func visit(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, res.Status)
	}
	return nil
}

func tell(ctx context.Context, open, closed string) error {
	dialer := net.Dialer{Timeout: patience}
	conn, err := dialer.DialContext(ctx, "tcp", open)
	if err != nil {
		return err
	}
	if err := conn.Close(); err != nil {
		return err
	}
	if conn, err := dialer.DialContext(ctx, "tcp", closed); err == nil {
		return errors.Join(fmt.Errorf("%s accepts connections", closed), conn.Close())
	}
	return nil
}

// stay does nothing for some seconds.
func stay(seconds string) error {
	n, err := strconv.Atoi(seconds)
	if err == nil {
		time.Sleep(time.Duration(n) * time.Second)
	}
	return err
}

func overfill(after, mib string) error {
	n, err := strconv.Atoi(mib)
	if err := errors.Join(err, stay(after)); err != nil {
		return err
	}
	if n > 64 {
		return fmt.Errorf("%d MiB are too many", n)
	}
	if err := os.WriteFile("/overfull", make([]byte, n<<20), 0o600); err != nil {
		return err
	}
	return stay("600")
}
