// SPDX-License-Identifier: Apache-2.0

//go:build race

package meter_test

// modelLives is less with the race detector, which takes ten times as long and has little to look for here.
const modelLives = 1500
