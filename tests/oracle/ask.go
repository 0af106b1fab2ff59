package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// askDeadline is how long one request may take.
const askDeadline = 20 * time.Second

// Addresses of a connection when the request names none.
const (
	someSource      = "10.244.255.254"
	someDestination = "10.96.255.254"
)

// reply is Envoy's answer to one request.
type reply struct {
	status  int
	header  http.Header
	arrived *arrived
}

// dial opens a connection that Envoy takes for one from and to the addresses of the request, with its identity.
func (d *driver) dial(socket string, request httpRequest) (net.Conn, error) {
	connection, err := net.DialTimeout("unix", socket, askDeadline)
	if err != nil {
		return nil, err
	}
	if err := connection.SetDeadline(time.Now().Add(askDeadline)); err != nil {
		connection.Close()
		return nil, err
	}
	source, destination, port := request.SourceIP, request.DestinationIP, request.Port
	if source == "" {
		source = someSource
	}
	if destination == "" {
		destination = someDestination
	}
	if port == 0 {
		port = 80
	}
	family := "TCP4"
	if strings.Contains(source, ":") {
		family = "TCP6"
	}
	if _, err := fmt.Fprintf(connection, "PROXY %s %s %s 40000 %d\r\n", family, source, destination, port); err != nil {
		connection.Close()
		return nil, err
	}
	if request.Principal == "" {
		return connection, nil
	}
	certificate, err := d.ids.certificate(request.Principal)
	if err != nil {
		connection.Close()
		return nil, err
	}
	// Who Envoy is needs no proof here: the socket lies in a folder of ours.
	return tls.Client(connection, &tls.Config{Certificates: []tls.Certificate{certificate}, InsecureSkipVerify: true}), nil
}

// send sends one request over a connection of its own. It is written by hand, so that Envoy gets the path and the headers
// as they were given.
func (d *driver) send(socket string, request httpRequest, extra ...[2]string) (*reply, error) {
	connection, err := d.dial(socket, request)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s %s HTTP/1.1\r\nhost: %s\r\n", request.Method, request.Path, request.Authority)
	for _, header := range append(extra, request.Headers...) {
		fmt.Fprintf(&text, "%s: %s\r\n", header[0], header[1])
	}
	text.WriteString("\r\n")
	if _, err := connection.Write(text.Bytes()); err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), &http.Request{Method: request.Method})
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return nil, err
	}
	answer := &reply{status: response.StatusCode, header: response.Header}
	if packed := response.Header.Get(arrivedHeader); packed != "" {
		text, err := base64.StdEncoding.DecodeString(packed)
		if err != nil {
			return nil, err
		}
		answer.arrived = &arrived{}
		if err := json.Unmarshal(text, answer.arrived); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// checkRequest refuses what could not be written as one request.
func checkRequest(request *httpRequest, chains int) error {
	if request.Chain < 0 || request.Chain >= chains {
		return fmt.Errorf("chain %d: there are %d", request.Chain, chains)
	}
	if request.Method == "" {
		request.Method = http.MethodGet
	}
	if request.Method == http.MethodConnect {
		return fmt.Errorf("method CONNECT is not served")
	}
	if request.Path == "" {
		request.Path = "/"
	}
	if request.Authority == "" {
		return fmt.Errorf("authority is missing")
	}
	texts := []string{request.Method, request.Path, request.Authority}
	for _, header := range request.Headers {
		if header[0] == "" || strings.HasPrefix(strings.ToLower(header[0]), ownHeaders) {
			return fmt.Errorf("header %q cannot be sent", header[0])
		}
		texts = append(texts, header[0], header[1])
	}
	for _, text := range texts {
		if strings.ContainsAny(text, "\r\n") {
			return fmt.Errorf("%q has a line break", text)
		}
	}
	for _, text := range texts[:3] {
		if strings.Contains(text, " ") {
			return fmt.Errorf("%q has a blank", text)
		}
	}
	return nil
}
