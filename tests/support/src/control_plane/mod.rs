//! A real etcd and kube-apiserver on this machine.
