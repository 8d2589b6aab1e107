// SPDX-License-Identifier: Apache-2.0

// Command apocryphd is what providers run: one sub-command per service, so one image and many processes.
package main

import "github.com/apocryph/apocryph/internal/daemon"

// cli lists the services. Each has its command in the file of its name: configuration and wiring, nothing else.
type cli struct {
	Gateway    gatewayCmd    `cmd:"" help:"Answer publishers over libp2p."`
	Controller controllerCmd `cmd:"" help:"Turn App objects into what runs."`
	Keeper     keeperCmd     `cmd:"" help:"Hold the enclave's keys: evidence, quotes, vouchers."`
	Imagestore imagestoreCmd `cmd:"" help:"Take pushed images and serve them to kubelet."`
	Logstore   logstoreCmd   `cmd:"" help:"Keep what apps' services wrote last on this machine."`
	Facade     facadeCmd     `cmd:"" help:"Route app users to apps by host name."`
	Egress     egressCmd     `cmd:"" help:"Count what apps' pods on this machine send outside of the cluster."`
	Meter      meterCmd      `cmd:"" help:"Write down what apps use."`
	Invoicer   invoicerCmd   `cmd:"" help:"Claim what is due and watch channels."`
	Notifier   notifierCmd   `cmd:"" help:"Tell publishers' webhooks what becomes of their apps."`
	Doctor     doctorCmd     `cmd:"" help:"Look whether the cluster, the chain and the enclave are what the others take them for."`
	Probe      probeCmd      `cmd:"" help:"Try one thing in a pod of the doctor's." hidden:""`

	Earnings earningsCmd `cmd:"" help:"Show what each app has brought and still should."`
	Vouchers vouchersCmd `cmd:"" help:"Write the newest voucher of each channel to standard output, to be kept elsewhere: income that survives the cluster."`
	Claim    claimCmd    `cmd:"" help:"Submit vouchers from a file, without the cluster."`

	Uninstall uninstallCmd `cmd:"" help:"End and settle every app, so that the provider can be uninstalled."`
}

func main() { daemon.Main(&cli{}) }
