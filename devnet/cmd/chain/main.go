// SPDX-License-Identifier: Apache-2.0

// Command chain serves a development Ethereum chain over HTTP and WebSocket.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/devnet/account"
	"github.com/apocryph/apocryph/devnet/chain"
	"github.com/apocryph/apocryph/devnet/weather"
)

type cli struct {
	Listen  string        `help:"Endpoint of HTTP and WebSocket." default:"127.0.0.1:8545"`
	ChainID uint64        `help:"Chain id." default:"1337"`
	Period  time.Duration `help:"Longest time between two blocks." default:"1s"`

	WeatherListen string `help:"Serve the same chain here too, at any path, each as good as the weather." placeholder:"ENDPOINT"`
	Weather       string `help:"File with the weather (package weather)." placeholder:"FILE"`
}

func main() {
	var c cli
	k := kong.Parse(&c, kong.Name("chain"), kong.Description("A development Ethereum chain."))
	k.FatalIfErrorf(c.run())
}

func (c *cli) run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	host, portText, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("reading --listen: %w", err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return fmt.Errorf("reading --listen: %w", err)
	}
	var funded []common.Address
	for _, name := range account.Names() {
		a, err := account.Address(name)
		if err != nil {
			return err
		}
		funded = append(funded, a)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ch, err := chain.New(chain.Config{Host: host, Port: port, ID: c.ChainID, Period: c.Period, Funded: funded}, log)
	if err != nil {
		return err
	}
	log.Info("chain serves", "endpoint", c.Listen, "id", c.ChainID)
	if c.WeatherListen != "" {
		l, err := net.Listen("tcp", c.WeatherListen) //nolint:noctx // a numeric address does not wait
		if err != nil {
			return fmt.Errorf("serving the weather: %w", err)
		}
		server := &http.Server{
			Handler:           &weather.Proxy{Chain: "http://" + net.JoinHostPort("127.0.0.1", portText), File: c.Weather, Log: log},
			ReadHeaderTimeout: 5 * time.Second,
		}
		defer func() { _ = server.Close() }()
		go func() { log.Info("weather ended", "err", server.Serve(l)) }()
	}
	return ch.Run(ctx)
}
