// Functions that are too easy to misuse, refused at compile time: the Makefile includes
// this before every source of src/ and commands/. The headers that declare them come
// first, so that the macros do not meet the declarations.
#ifndef GCORE_BANNED_H
#define GCORE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define printf(...) gi_banned_printf_write_to_struct_gi_out
#define vprintf(...) gi_banned_vprintf_write_to_struct_gi_out
#define sprintf(...) gi_banned_sprintf_use_gi_str_printf
#define vsprintf(...) gi_banned_vsprintf_use_gi_str_vprintf
#define strcpy(...) gi_banned_strcpy_use_gi_str
#define strcat(...) gi_banned_strcat_use_gi_str
#define strncpy(...) gi_banned_strncpy_use_gi_str
#define strncat(...) gi_banned_strncat_use_gi_str
#define strtok(...) gi_banned_strtok
#define atoi(...) gi_banned_atoi_use_gi_parse_u64
#define atol(...) gi_banned_atol_use_gi_parse_u64
#define gets(...) gi_banned_gets

#endif
