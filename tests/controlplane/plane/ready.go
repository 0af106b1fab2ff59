package plane

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// prober asks components over HTTP whether they serve.
type prober struct {
	client *http.Client
}

// newProber trusts the control plane's authority and comes as its administrator.
func newProber(c *credentials) (*prober, error) {
	certificate, err := tls.X509KeyPair(c.admin.Certificate, c.admin.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate of the administrator: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.authority)
	return &prober{client: &http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}},
			// A component that is restarted must not be asked over the connection of the one before.
			DisableKeepAlives: true,
		},
	}}, nil
}

// ok asks until the address answers 200.
func (p *prober) ok(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return err
		}
		response, err := p.client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s: %s", address, response.Status, strings.TrimSpace(string(body)))
		}
		return nil
	}
}
