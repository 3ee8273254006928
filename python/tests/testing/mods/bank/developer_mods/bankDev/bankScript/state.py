# -*- coding: utf-8 -*-
# What each service has of its own.
coins = {}
closed = []
