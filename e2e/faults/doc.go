// SPDX-License-Identifier: Apache-2.0

// Package faults breaks the provider, the cluster below it, its chain and the publishers' own machine while publishers take apps through
// their lives, and looks afterwards whether it ended as it would have without.
//
// A run is one publisher with one app: deploy, use, update, use again, stop. Each command is run as a person would: when it fails it must
// say why, and then it is run again. Some runs at once are a batch, which shares the devnet and its faults: for each part of the life, the
// batch's seed draws what breaks and when, and for each run what the publisher does wrong meanwhile (orders twice, races with itself, is
// killed at some step, …). Every fault heals by itself.
//
// What must be true is in judge.go, as a function of facts that are collected from the outside. What was billed is held against the
// container runtime's own records by an oracle that shares no code with the meter. Whatever is no reason to touch a running
// app must leave its pods alone, and answered requests must stay answered: nothing is torn down because it can't be seen.
//
// A failure names its batch's seed; APOCRYPH_FAULT_SEED=n APOCRYPH_FAULT_RUNS=4 draws the same again. What is drawn is the same, not how
// processes interleave.
package faults
