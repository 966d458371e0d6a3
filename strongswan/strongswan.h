/*
 * strongSwan's headers, as its own programs see them.
 *
 * They expect the config.h of strongSwan's ./configure to be there. It says which functions the C library
 * has, and with which options the daemon was built. Of those two kinds what the headers ask for is here, as
 * Debian 12 builds 5.9.8: ME (--enable-mediation) alone changes the layout of structs that charon shares with
 * plugins (daemon_t, ike_sa_t, peer_cfg_t), each at its end. tools/strongswan looks whether the charon of
 * this machine was built with it.
 */
#ifndef CULVERT_STRONGSWAN_H
#define CULVERT_STRONGSWAN_H

#define CONFIG_H_INCLUDED
#define HAVE_ALLOCA_H
#define HAVE_CLOCK_GETTIME
#define HAVE_CLOSEFROM
#define HAVE_CONDATTR_CLOCK_MONOTONIC
#define HAVE_EXPLICIT_BZERO
#define HAVE_FMEMOPEN
#define HAVE_MEMRCHR
#define HAVE_SIGWAITINFO
#define HAVE_STDBOOL_H
#define HAVE_SYS_PARAM_H
#ifdef CULVERT_STRONGSWAN_MEDIATION
#define ME
#endif

#include <sys/types.h>
#include <signal.h>
#include <stdint.h>
#include <stddef.h>
#include <stdlib.h>

#include <library.h>
#include <daemon.h>

#endif
