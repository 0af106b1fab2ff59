// Oracle says what Istio makes of manifests: istiod's own translation, and a real Envoy that runs it.
package main

import (
	_ "istio.io/istio/cni/pkg/util"
	_ "istio.io/istio/pilot/test/xds"
)

func main() {}
