package certificates

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"testing"
)

func authority(t *testing.T) (*Authority, *x509.CertPool) {
	t.Helper()
	authority, err := NewAuthority("test")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Pair()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pair.Certificate) {
		t.Fatal("the authority's certificate is no PEM")
	}
	return authority, roots
}

func parse(t *testing.T, pair Pair) *x509.Certificate {
	t.Helper()
	if _, err := tls.X509KeyPair(pair.Certificate, pair.Key); err != nil {
		t.Fatalf("key and certificate do not belong together: %v", err)
	}
	block, _ := pem.Decode(pair.Certificate)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func TestServerIsKnownByItsNamesOnly(t *testing.T) {
	authority, roots := authority(t)
	pair, err := authority.Server("server", []string{"kubernetes.default.svc"}, net.IPv4(10, 96, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	certificate := parse(t, pair)
	for name, want := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "10.96.0.1": true, "kubernetes.default.svc": true, "example.com": false,
	} {
		_, err := certificate.Verify(x509.VerifyOptions{DNSName: name, Roots: roots})
		if (err == nil) != want {
			t.Errorf("%s: %v, want accepted: %v", name, err, want)
		}
	}
}

func TestClientIsNoServerAndOfOneAuthority(t *testing.T) {
	own, roots := authority(t)
	_, others := authority(t)
	pair, err := own.Client("admin", "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	certificate := parse(t, pair)
	if certificate.Subject.CommonName != "admin" || certificate.Subject.Organization[0] != "system:masters" {
		t.Errorf("subject is %v", certificate.Subject)
	}
	client := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if _, err := certificate.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: client}); err != nil {
		t.Errorf("as a client: %v", err)
	}
	if _, err := certificate.Verify(x509.VerifyOptions{Roots: roots}); err == nil {
		t.Error("accepted as a server")
	}
	if _, err := certificate.Verify(x509.VerifyOptions{Roots: others, KeyUsages: client}); err == nil {
		t.Error("accepted by an authority of the same name that did not sign it")
	}
}
