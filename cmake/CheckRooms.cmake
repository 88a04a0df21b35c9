# Checks that every #include "striate/ROOM/…" goes to a room above, so that the house keeps its shape.
#   cmake -DSOURCE=DIR -P cmake/CheckRooms.cmake
# and that math, stats, models and rsa see no MPI, HDF5, YAML or LibTorch, and that net alone sees LibTorch.
cmake_minimum_required(VERSION 3.20)

# room: the rooms it may include, besides itself
set(may_base "")
set(may_math base)
set(may_stats base math)
set(may_models base math stats)
set(may_rsa base math stats models)
set(may_par base math)
set(may_store ${may_par} par)
set(may_brain ${may_store} store)
set(may_stimuli ${may_store} store)
set(may_net ${may_stimuli} stimuli)
set(may_report ${may_store} store)
set(may_commands base math stats models rsa par store brain stimuli net report)

# header pattern: the rooms that may include it
set(rules
  "mpi\\.h=par,store"
  "hdf5[_a-z]*\\.h|H5[A-Za-z]+public\\.h=store"
  "yaml-cpp/.*=base,brain,stimuli,net,commands"
  "torch/.*|ATen/.*|c10/.*=net"
  "nifti[12]?_io\\.h|nifti/.*|znzlib\\.h=brain"
  "libav[a-z]*/.*|libsw[a-z]*/.*=stimuli"
  "turbojpeg\\.h|png\\.h|jpeglib\\.h=stimuli")

set(wrong "")
set(files_seen 0)
file(GLOB_RECURSE files RELATIVE ${SOURCE} ${SOURCE}/include/striate/*.hpp ${SOURCE}/src/*.hpp ${SOURCE}/src/*.cpp)
foreach(file ${files})
  if(file MATCHES "^(include/striate|src)/([a-z]+)/")
    set(room ${CMAKE_MATCH_2})
  else()
    continue()  # src/main.cpp may see all
  endif()
  if(NOT DEFINED may_${room})
    list(APPEND wrong "${file}: room '${room}' is not in cmake/CheckRooms.cmake")
    continue()
  endif()
  math(EXPR files_seen "${files_seen}+1")
  file(STRINGS ${SOURCE}/${file} includes REGEX "^[ \t]*#[ \t]*include")
  foreach(line ${includes})
    if(line MATCHES "\"striate/([a-z]+)/")
      set(target ${CMAKE_MATCH_1})
      if(NOT target STREQUAL room AND NOT target IN_LIST may_${room})
        list(APPEND wrong "${file}: ${room} may not include ${target}: ${line}")
      endif()
    elseif(line MATCHES "\"\\.\\./([a-z]+)/")
      list(APPEND wrong "${file}: reaches into the private files of another room: ${line}")
    endif()
    foreach(rule ${rules})
      string(REGEX MATCH "^(.*)=([a-z,]+)$" _ "${rule}")
      set(pattern "${CMAKE_MATCH_1}")
      set(names "${CMAKE_MATCH_2}")
      string(REPLACE "," ";" allowed "${names}")
      if(line MATCHES "[<\"](${pattern})[>\"]" AND NOT room IN_LIST allowed)
        list(APPEND wrong "${file}: only ${names} may see that library: ${line}")
      endif()
    endforeach()
  endforeach()
endforeach()
if(files_seen EQUAL 0)
  message(FATAL_ERROR "no sources found under ${SOURCE}")
endif()
if(wrong)
  list(JOIN wrong "\n  " text)
  message(FATAL_ERROR "rooms:\n  ${text}")
endif()
message(STATUS "rooms: ${files_seen} files keep their place")
