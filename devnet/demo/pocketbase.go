// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
)

// pocketBase is an app user's view of a PocketBase server: its public HTTP interface, by host name, through the facade.
type pocketBase struct {
	url   string
	http  *http.Client
	token string
}

// newPocketBase reaches url at the endpoint where the devnet's facade listens, as a resolver for its domain would.
func newPocketBase(url, facade string) *pocketBase {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, facade)
	}
	return &pocketBase{url: url, http: &http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// installToken finds the one-time token that PocketBase prints when nobody owns it yet.
func installToken(logs []byte) (string, error) {
	m := regexp.MustCompile(`/_/#/pbinstall/([A-Za-z0-9_.-]+)`).FindSubmatch(logs)
	if m == nil {
		return "", fmt.Errorf("the app's log has no installer link:\n%s", logs)
	}
	return string(m[1]), nil
}

// own makes the first superuser with the token from the log and signs in as that.
func (p *pocketBase) own(ctx context.Context, token, email, password string) error {
	p.token = token
	err := p.call(ctx, http.MethodPost, "/api/collections/_superusers/records",
		map[string]string{"email": email, "password": password, "passwordConfirm": password}, nil)
	if err != nil {
		return fmt.Errorf("making the superuser: %w", err)
	}
	p.token = ""
	var session struct {
		Token string `json:"token"`
	}
	err = p.call(ctx, http.MethodPost, "/api/collections/_superusers/auth-with-password",
		map[string]string{"identity": email, "password": password}, &session)
	if err != nil {
		return fmt.Errorf("signing in: %w", err)
	}
	p.token = session.Token
	return nil
}

// write makes a collection of notes, readable by anybody, with one note in it.
func (p *pocketBase) write(ctx context.Context, text string) error {
	err := p.call(ctx, http.MethodPost, "/api/collections", map[string]any{
		"name": "notes", "type": "base", "listRule": "", "viewRule": "",
		"fields": []map[string]any{{"name": "text", "type": "text"}},
	}, nil)
	if err != nil {
		return fmt.Errorf("making a collection: %w", err)
	}
	if err := p.call(ctx, http.MethodPost, "/api/collections/notes/records", map[string]string{"text": text}, nil); err != nil {
		return fmt.Errorf("writing a record: %w", err)
	}
	return nil
}

// read returns the texts of all notes, without signing in.
func (p *pocketBase) read(ctx context.Context) ([]string, error) {
	p.token = ""
	var page struct {
		Items []struct {
			Text string `json:"text"`
		} `json:"items"`
	}
	if err := p.call(ctx, http.MethodGet, "/api/collections/notes/records", nil, &page); err != nil {
		return nil, fmt.Errorf("reading records: %w", err)
	}
	texts := make([]string, 0, len(page.Items))
	for _, i := range page.Items {
		texts = append(texts, i.Text)
	}
	return texts, nil
}

// page gets a page as a browser would and returns its status and body.
func (p *pocketBase) page(ctx context.Context, path string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, nil)
	if err != nil {
		return 0, nil, err
	}
	res, err := p.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, body, err
}

func (p *pocketBase) call(ctx context.Context, method, path string, in, out any) error {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, p.url+path, &body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if p.token != "" {
		req.Header.Set("Authorization", p.token)
	}
	res, err := p.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, res.Status, answer)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}
