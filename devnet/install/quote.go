// SPDX-License-Identifier: Apache-2.0

package install

import "strings"

// quote makes a word that a shell reads as text.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
