// SPDX-License-Identifier: Apache-2.0

//go:build !race

package meter_test

// modelLives is how many lives of an app the model is compared over by default.
const modelLives = 10_000
