// SPDX-License-Identifier: Apache-2.0

// Package apocryph is the map of the project; it holds no code, only the house rules as tests (house_test.go).
//
// Three binaries: [github.com/apocryph/apocryph/cmd/apocryph] is what publishers and app users run,
// [github.com/apocryph/apocryph/cmd/apocryphd] what providers run, one sub-command per service, and
// [github.com/apocryph/apocryph/cmd/carrier] what moves volumes' content in apps' pods.
//
// Imports point one way: commands join services and adapters; services and adapters know the domain; the domain knows nobody and does
// no I/O.
//
//   - Domain: appfile, manifest, tariff, usage, metered, channel, delegation, quote, account, ledger, evidence, eip712.
//   - Services: gateway, controller, keeper, imagestore, logstore, facade, egress, carrier, meter, invoicer, notify, doctor; and publisher, the CLI's verbs as functions.
//   - Adapters, one outside thing each: evm, p2p, kube, oci, tee/sim, tee/snp, traffic.
//   - Plumbing: daemon, fault; reference, which only tests use.
//
// The wire is in proto/, the kinds in api/v1alpha1, the contract in contracts/, what an operator applies in deploy/, everything on one
// machine in devnet/. ARCHITECTURE.md tells the stories; docs/protocol the bytes.
package apocryph
