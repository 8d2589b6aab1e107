// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"fmt"
	"strings"
)

const appID = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

// result is what libcni keeps of a network.
func result(box, namespace, uid, addr string, ends ...string) string {
	var interfaces []string
	for _, end := range ends {
		interfaces = append(interfaces, fmt.Sprintf(`{"mac":"8e:e9:84:ee:2b:be","name":%q}`, end))
	}
	interfaces = append(interfaces, `{"mac":"be:36:6f:bd:ab:1f","name":"eth0","sandbox":"/var/run/netns/cni-1"}`)
	return fmt.Sprintf(`{"kind":"cniCacheV1","containerId":%q,"config":"e30=","ifName":"eth0","networkName":"pods","netns":"/var/run/netns/cni-1",
		"cniArgs":[["IgnoreUnknown","1"],["K8S_POD_NAMESPACE",%q],["K8S_POD_NAME","web-1"],["K8S_POD_INFRA_CONTAINER_ID",%q],["K8S_POD_UID",%q]],
		"capabilityArgs":{"dns":{"Servers":["10.96.0.10"]}},
		"result":{"cniVersion":"1.0.0","interfaces":[%s],"ips":[{"address":"%s/24","gateway":"10.244.0.1","interface":1}],"routes":[{"dst":"0.0.0.0/0"}]}}`,
		box, namespace, box, uid, strings.Join(interfaces, ","), addr)
}
