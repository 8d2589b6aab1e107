// SPDX-License-Identifier: Apache-2.0

package imagestore

import "context"

// HoldChecks makes as if a graph check of an app ran until end.
func HoldChecks(s *Store, app string) (end func()) {
	end, _ = s.verifying(context.Background(), app)
	return end
}
