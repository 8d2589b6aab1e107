// SPDX-License-Identifier: Apache-2.0

// Package kubetest gives tests what a fake API server lacks.
package kubetest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/yaml"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

// Converters know the lists of one of our kinds that several writers share, as the API server does from the kind's definition; file is its
// name in the chart, such as apocryph.network_apps.yaml. Of every other kind they know what its content tells.
func Converters(t testing.TB, kind, file string) []managedfields.TypeConverter {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "deploy", "chart", "kinds", file)) // a test runs in its package's folder
	if err != nil {
		t.Fatal(err)
	}
	var definition struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema json.RawMessage `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(raw, &definition); err != nil {
		t.Fatal(err)
	}
	var schema spec.Schema
	if err := json.Unmarshal(definition.Spec.Versions[0].Schema.OpenAPIV3Schema, &schema); err != nil {
		t.Fatal(err)
	}
	schema.AddExtension("x-kubernetes-group-version-kind", []any{
		map[string]any{"group": v1alpha1.Group, "version": v1alpha1.Version, "kind": kind},
	})
	ours, err := managedfields.NewTypeConverter(map[string]*spec.Schema{kind: &schema}, true)
	if err != nil {
		t.Fatal(err)
	}
	return []managedfields.TypeConverter{ours, managedfields.NewDeducedTypeConverter()}
}
