package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"sync"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoytls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// identities is a throw-away certificate authority: peers prove who they are to Envoy as they do in a mesh.
type identities struct {
	authority *x509.Certificate
	key       *ecdsa.PrivateKey

	mu     sync.Mutex
	issued map[string]tls.Certificate
	serial int64
}

func newIdentities() (*identities, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "oracle"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	authority, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &identities{authority: authority, key: key, issued: map[string]tls.Certificate{}, serial: 1}, nil
}

// certificate is one for an identity, "cluster.local/ns/a/sa/b".
func (i *identities) certificate(identity string) (tls.Certificate, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if known, found := i.issued[identity]; found {
		return known, nil
	}
	uri, err := url.Parse("spiffe://" + identity)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("principal %q: %w", identity, err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	i.serial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(i.serial),
		NotBefore:    i.authority.NotBefore,
		NotAfter:     i.authority.NotAfter,
		URIs:         []*url.URL{uri},
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, i.authority, key.Public(), i.key)
	if err != nil {
		return tls.Certificate{}, err
	}
	certificate := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	i.issued[identity] = certificate
	return certificate, nil
}

// serverSocket is how Envoy's end of mutual TLS is configured.
func (i *identities) serverSocket() (*core.TransportSocket, error) {
	own, err := i.certificate("cluster.local/ns/oracle/sa/envoy")
	if err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		return nil, err
	}
	packed, err := anypb.New(&envoytls.DownstreamTlsContext{
		RequireClientCertificate: wrapperspb.Bool(true),
		CommonTlsContext: &envoytls.CommonTlsContext{
			TlsCertificates: []*envoytls.TlsCertificate{{
				CertificateChain: inlinePEM("CERTIFICATE", own.Certificate[0]),
				PrivateKey:       inlinePEM("PRIVATE KEY", key),
			}},
			ValidationContextType: &envoytls.CommonTlsContext_ValidationContext{
				ValidationContext: &envoytls.CertificateValidationContext{TrustedCa: inlinePEM("CERTIFICATE", i.authority.Raw)},
			},
		},
	})
	if err != nil {
		return nil, err
	}
	return &core.TransportSocket{
		Name:       "envoy.transport_sockets.tls",
		ConfigType: &core.TransportSocket_TypedConfig{TypedConfig: packed},
	}, nil
}

func inlinePEM(kind string, der []byte) *core.DataSource {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	return &core.DataSource{Specifier: &core.DataSource_InlineBytes{InlineBytes: text}}
}
