// Package clustertest starts a real Apache Cassandra on loopback for tests, by the script deploy/cassandra/cluster.
package clustertest
