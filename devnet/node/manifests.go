// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"embed"
)

//go:embed manifests
var manifests embed.FS

// Manifests are the Kubernetes objects that the node needs beside its programs: cluster DNS and the storage class, in YAML.
func Manifests() ([]byte, error) {
	entries, err := manifests.ReadDir("manifests")
	if err != nil {
		return nil, err
	}
	var all [][]byte
	for _, e := range entries {
		content, err := manifests.ReadFile("manifests/" + e.Name())
		if err != nil {
			return nil, err
		}
		all = append(all, content)
	}
	return bytes.Join(all, []byte("---\n")), nil
}
