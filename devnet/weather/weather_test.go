// SPDX-License-Identifier: Apache-2.0

package weather

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// state is a channel's: deposited 5, claimed 2, spent until 7, no notice.
const state = "0x" +
	"0000000000000000000000000000000000000000000000000000000000000005" +
	"0000000000000000000000000000000000000000000000000000000000000002" +
	"0000000000000000000000000000000000000000000000000000000000000007" +
	"0000000000000000000000000000000000000000000000000000000000000000"

// chain answers like a chain at block 100 of time 1000; what it was sent is counted.
func chain(t *testing.T, sent *int) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m message
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		result := map[string]string{
			"eth_blockNumber": `"0x64"`, "eth_call": `"` + state + `"`, "eth_getTransactionReceipt": `{"blockNumber":"0x62"}`, "eth_sendRawTransaction": `"0x01"`,
		}[m.Method]
		if m.Method == "eth_getBlockByNumber" {
			number := string(m.Params[0])
			if number == `"latest"` {
				number = `"0x64"`
			}
			result = `{"number":` + number + `,"timestamp":"0x3e8"}`
		}
		if m.Method == "eth_sendRawTransaction" {
			*sent++
		}
		m.answer(w, json.RawMessage(result), nil)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestWeather(t *testing.T) {
	const block = `"eth_getBlockByNumber","params":["latest",false]`
	tests := map[string]struct {
		at     Endpoint
		ask    string // method and parameters
		want   string // part of the answer's body; empty if there is none
		status int
		sent   int
	}{
		"fair":                                {Endpoint{}, block, `"number":"0x64"`, 200, 0},
		"failing":                             {Endpoint{Mode: Fail}, block, `"code":-32603`, 200, 0},
		"busy":                                {Endpoint{Mode: Busy}, block, "too many", 503, 0},
		"garbage":                             {Endpoint{Mode: Garbage}, block, "<html>", 200, 0},
		"broken":                              {Endpoint{Mode: Break}, block, "", 0, 0},
		"what it loses was done":              {Endpoint{Mode: Lose}, `"eth_sendRawTransaction","params":["0x02"]`, "", 0, 1},
		"what it swallows was not":            {Endpoint{Mode: Swallow}, `"eth_sendRawTransaction","params":["0x02"]`, `"result":"0xf2ee15ea639b73fa3db9b34a245bdfa015c260c598b211bf05a1ecc4b3e3b4f2"`, 200, 0},
		"behind, the newest block is older":   {Endpoint{Mode: Lag, N: 4}, block, `"number":"0x60"`, 200, 0},
		"behind, a newer receipt is unknown":  {Endpoint{Mode: Lag, N: 4}, `"eth_getTransactionReceipt","params":["0x02"]`, `"result":null`, 200, 0},
		"behind, a newer block is unknown":    {Endpoint{Mode: Lag, N: 4}, `"eth_getBlockByNumber","params":["0x64",false]`, `"result":null`, 200, 0},
		"behind a little, a receipt is known": {Endpoint{Mode: Lag, N: 1}, `"eth_getTransactionReceipt","params":["0x02"]`, `"0x62"`, 200, 0},
		"behind longer than there is a chain": {Endpoint{Mode: Lag, N: 1000}, block, `"number":"0x0"`, 200, 0},
		"an hour ahead":                       {Endpoint{Mode: Skew, N: 3600}, block, `"timestamp":"0x11f8"`, 200, 0},
		"a while behind":                      {Endpoint{Mode: Skew, N: -1000}, block, `"timestamp":"0x0"`, 200, 0},
		"says that a notice is over":          {Endpoint{Mode: Ended}, `"eth_call","params":[{},"latest"]`, state[:len(state)-1] + "1", 200, 0},
		"says that a channel is closed":       {Endpoint{Mode: Closed}, `"eth_call","params":[{},"latest"]`, "ffffffffff", 200, 0},
		"says that there is no channel":       {Endpoint{Mode: None}, `"eth_call","params":[{},"latest"]`, strings.Repeat("0", 128) + `"`, 200, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			sent := 0
			p := &Proxy{Chain: chain(t, &sent), File: filepath.Join(t.TempDir(), "report"), Log: slog.New(slog.DiscardHandler)}
			report, err := json.Marshal(Report{"b": test.at})
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p.File, report, 0o600); err != nil {
				t.Fatal(err)
			}
			s := httptest.NewServer(p)
			defer s.Close()
			post := func(path string) (int, string) {
				res, err := http.Post(s.URL+path, "application/json", strings.NewReader(`{"jsonrpc":"2.0","id":7,"method":`+test.ask+`}`))
				if err != nil {
					return 0, ""
				}
				defer func() { _ = res.Body.Close() }()
				b, err := io.ReadAll(res.Body)
				if err != nil {
					t.Fatal(err)
				}
				return res.StatusCode, string(b)
			}
			status, body := post("/b")
			if status != test.status || !strings.Contains(body, test.want) || sent != test.sent {
				t.Errorf("%d %s, sent %d", status, body, sent)
			}
			if status, _ := post("/a"); status != 200 {
				t.Errorf("another endpoint answers %d", status)
			}
		})
	}
}
