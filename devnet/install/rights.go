// SPDX-License-Identifier: Apache-2.0

package install

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader"
	"helm.sh/helm/v4/pkg/engine"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// rights are the kinds of what says who may do what to which objects.
var rights = []string{
	"CustomResourceDefinition", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding",
	"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
}

// Rights returns what a chart installs beside what runs: kinds, accounts, their rights and what limits those, as YAML.
func Rights(chart string) ([]byte, error) {
	ch, err := loader.Load(chart)
	if err != nil {
		return nil, fmt.Errorf("loading the chart: %w", err)
	}
	const address = "0x0000000000000000000000000000000000000001" // of nobody: no right depends on it
	values, err := util.ToRenderValues(ch, map[string]any{
		"image":     "localhost/apocryph@sha256:" + strings.Repeat("0", 64),
		"provider":  map[string]any{"address": address, "gasKeySecret": gasKeySecret},
		"chain":     map[string]any{"rpc": "http://127.0.0.1:1", "channels": address, "token": address},
		"tee":       map[string]any{"simulatorSecret": simulatorSecret},
		"public":    map[string]any{"domain": domain},
		"nodePorts": map[string]any{"facade": 30080, "gateway": 30400},
		"doctor":    map[string]any{"enabled": false}, // its probes have a namespace of their own
	}, common.ReleaseOptions{Name: release, Namespace: Namespace, IsInstall: true}, common.DefaultCapabilities)
	if err != nil {
		return nil, fmt.Errorf("rendering the chart: %w", err)
	}
	files, err := engine.Render(ch, values)
	if err != nil {
		return nil, fmt.Errorf("rendering the chart: %w", err)
	}
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		for doc := range strings.SplitSeq("\n"+files[name], "\n---") {
			var kind metav1.TypeMeta
			if strings.HasSuffix(name, ".yaml") && yaml.Unmarshal([]byte(doc), &kind) == nil && slices.Contains(rights, kind.Kind) {
				_, _ = out.WriteString("---" + doc + "\n")
			}
		}
	}
	return []byte(out.String()), nil
}
